"""What a driver says of itself, as data: for listings, pages and machines."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

from edgekernel.core.device import Device
from edgekernel.core.output_declaration import OutputDeclaration
from edgekernel.core.reading import ReadingDeclaration
from edgekernel.core.values import ValueType
from edgekernel.node.packs import load_driver
from edgekernel.node.plan import boundary_parameters, settings_model


def describe_driver(name: str) -> dict[str, Any]:
    """Return a driver's description, settings, readings and outputs; ready for JSON.

    A setting has its JSON Schema, whether it is required, and the boundary that it names; a signal
    has its type, unit, range, precision and device class, an output its safe value too. Raises
    ConfigError if the driver cannot be loaded.
    """
    driver = load_driver(name)
    text = inspect.getdoc(driver) or ""
    signals = list(_signals(driver))
    return {
        "name": name,
        "summary": text.partition("\n")[0],
        "description": text,
        "module": driver.__module__,
        "settings": list(_settings(driver)),
        "readings": [each["name"] for each in signals if each["kind"] == "reading"],
        "outputs": [each["name"] for each in signals if each["kind"] == "output"],
        "signals": signals,
        "lines": list(getattr(driver, "line_names", ())),
        "simulated": getattr(driver, "simulated", None) is not None,
    }


def _settings(driver: type[Device]) -> Iterator[dict[str, Any]]:
    boundaries = boundary_parameters(driver)
    model = settings_model(driver, boundaries)
    whole = model.model_json_schema()
    properties = _without_references(whole.get("properties", {}), whole.get("$defs", {}))
    for key, field in model.model_fields.items():
        setting: dict[str, Any] = {"name": key, "required": field.is_required()}
        if key in boundaries:
            setting["boundary"] = boundaries[key].__name__
        schema = properties.get(key, {})
        setting.update({k: v for k, v in schema.items() if k != "title"})
        yield setting


def _without_references(schema: Any, definitions: dict[str, Any]) -> Any:
    """Return a schema in which what it refers to stands in its place."""
    if isinstance(schema, list):
        return [_without_references(each, definitions) for each in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        found = definitions[schema["$ref"].removeprefix("#/$defs/")]
        schema = {**found, **{key: value for key, value in schema.items() if key != "$ref"}}
    return {key: _without_references(value, definitions) for key, value in schema.items()}


def _signals(driver: type[Device]) -> Iterator[dict[str, Any]]:
    """Describe what is declared, in the order of the class."""
    kinds = (ReadingDeclaration, OutputDeclaration)
    declared: dict[str, ReadingDeclaration[Any] | OutputDeclaration[Any]] = {}
    for base in reversed(driver.__mro__):
        declared.update((n, value) for n, value in vars(base).items() if isinstance(value, kinds))
    for name, declaration in declared.items():
        values: ValueType[Any] = declaration.values
        signal = {
            "name": name,
            "kind": "output" if isinstance(declaration, OutputDeclaration) else "reading",
            "type": values.type.__name__,
            "unit": values.unit,
            "range": None if values.range is None else list(values.range),
            "precision": values.precision,
            "device_class": values.device_class,
            "counts_up": values.counts_up,
        }
        if isinstance(declaration, OutputDeclaration):
            signal["safe"] = declaration.safe
        yield signal
