"""Names in the settings that a node does not have are found, before it runs and while it does."""

from __future__ import annotations

from edgekernel import Device, output, reading
from edgekernel.mqtt.home_assistant import HomeAssistant
from edgekernel.mqtt.home_assistant.names import Names, unknown_names


class Lamp(Device):
    """A lamp with a sensor."""

    light = output(bool, safe=False)
    level = reading(float)

    @light.drive
    def _switch(self, on: bool) -> bool:
        return on


SCHEMA = {
    "devices": {"lamp": {"outputs": {"light": {}}, "readings": {"level": {}}}},
    "commands": {"plant": {"flush": {}}},
    "messages": {"asked": {}},
}


def test_parts_and_schema_say_the_same() -> None:
    """What is known before the start is what the schema says after it."""
    before = Names.of_parts({"lamp": Lamp("lamp")}, {"plant": ["flush"]}, ["asked"])
    assert before == Names.of_schema(SCHEMA)


def test_each_key_has_its_own_names() -> None:
    """A reading is no lamp, a command can be left out, and a message is known by its own name."""
    names = Names.of_schema(SCHEMA)
    right = HomeAssistant(
        lights=("lamp.light",),
        exclude=("lamp.light", "lamp.level", "plant.flush"),
        events=("asked",),
    )
    assert list(unknown_names(names, right)) == []
    wrong = HomeAssistant(lights=("lamp.level",), exclude=("plant.flsh",), events=("lamp.light",))
    assert list(unknown_names(names, wrong)) == [
        "mqtt.home_assistant.lights: there is no \"lamp.level\"; did you mean 'lamp.light'?",
        "mqtt.home_assistant.exclude: there is no \"plant.flsh\"; did you mean 'plant.flush'?",
        'mqtt.home_assistant.events: there is no "lamp.light"; there are: asked',
    ]
