"""A program for Home Assistant's Python: its core with its MQTT integration, and nothing else.

`core.py FOLDER PORT` keeps its state in a folder and connects to the broker on a loopback port as a
user would set it up. It prints a line when it runs, then answers each line on standard input, an
object with `do`: "look" (states and registries), "call" (a service) or "stop", with a line.
"""
# It is run by another Python, which has Home Assistant; ours has not.
# mypy: disable-error-code="import-not-found, no-any-return, no-untyped-call"
# pyright: basic, reportMissingImports=false

from __future__ import annotations

import asyncio
import json
import logging
import socket
import sys
from typing import Any

from homeassistant import bootstrap, loader
from homeassistant.config_entries import SOURCE_USER, ConfigEntries
from homeassistant.core import HomeAssistant
from homeassistant.core_config import async_process_ha_core_config
from homeassistant.helpers import device_registry, entity_registry
from homeassistant.setup import async_setup_component

HOST = "127.0.0.1"


def free_port() -> int:
    """Return a loopback port that nobody uses."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


async def run(folder: str, port: int) -> HomeAssistant:
    """Return a running Home Assistant that is connected to the broker."""
    hass = HomeAssistant(folder)
    hass.config.skip_pip = True
    loader.async_setup(hass)
    hass.config_entries = ConfigEntries(hass, {})
    await loader.async_get_custom_components(hass)
    await bootstrap.async_load_base_functionality(hass)
    for domain in sorted(bootstrap.CORE_INTEGRATIONS):
        assert await async_setup_component(hass, domain, {}), domain
    await async_process_ha_core_config(hass, {})
    web = {"http": {"server_host": HOST, "server_port": free_port()}}
    assert await async_setup_component(hass, "http", web)  # mqtt depends on it
    if hass.config_entries.async_entries("mqtt"):
        assert await async_setup_component(hass, "mqtt", {})
    else:
        flow = hass.config_entries.flow
        asked = await flow.async_init("mqtt", context={"source": SOURCE_USER})
        answer: dict[str, Any] = {"broker": HOST, "port": port}
        if "other_settings" in asked["data_schema"].schema:  # later versions have a section
            answer["other_settings"] = {"set_client_cert": False, "set_ca_cert": "off"}
        made = await flow.async_configure(asked["flow_id"], answer)
        assert made["type"] == "create_entry", made
    await hass.async_start()
    return hass


def look(hass: HomeAssistant) -> dict[str, Any]:
    """Return the states, and the entities and devices of the MQTT integration."""
    [mqtt] = hass.config_entries.async_entries("mqtt")
    known = entity_registry.async_get(hass), device_registry.async_get(hass)
    states = {
        each.entity_id: {"state": each.state, "attributes": dict(each.attributes)}
        for each in hass.states.async_all()
    }
    entities = {
        each.entity_id: {
            "unique_id": each.unique_id,
            "disabled": each.disabled,
            "category": each.entity_category,
        }
        for each in entity_registry.async_entries_for_config_entry(known[0], mqtt.entry_id)
    }
    devices = [
        {"name": each.name, "sw_version": each.sw_version, "identifiers": list(each.identifiers)}
        for each in device_registry.async_entries_for_config_entry(known[1], mqtt.entry_id)
    ]
    return {"states": states, "entities": entities, "devices": devices}


def say(answer: Any) -> None:
    """Print a line with an answer."""
    sys.stdout.write(json.dumps(answer, default=str) + "\n")
    sys.stdout.flush()


async def main(folder: str, port: int) -> None:
    """Run, answer, and stop at the end of the input."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    hass = await run(folder, port)
    say("running")
    while line := await hass.loop.run_in_executor(None, sys.stdin.readline):
        wanted = json.loads(line)
        answer: Any = None
        match wanted["do"]:
            case "stop":
                break
            case "look":
                answer = look(hass)
            case "call":
                domain, _, service = wanted["service"].partition(".")
                await hass.services.async_call(domain, service, wanted["data"], blocking=True)
        say(answer)
    await hass.async_stop()


asyncio.run(main(sys.argv[1], int(sys.argv[2])))
