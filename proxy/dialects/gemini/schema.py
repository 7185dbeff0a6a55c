"""Gemini's Schema, a subset of OpenAPI 3.0 with types in capitals, as JSON Schema."""

from typing import Any

from proxy.dialects.base import Json
from proxy.dialects.gemini.spelling import spelled

# Members that mean the same in JSON Schema, once counts are numbers: Google writes 64-bit ones as text.
_COUNTS = frozenset({"maxItems", "minItems", "maxProperties", "minProperties", "maxLength", "minLength"})


def as_json_schema(schema: Any) -> Any:
    """Return the JSON Schema. What is not a Schema stays as it is, for the model's provider to judge."""
    if type(schema) is not dict:
        return schema
    told: Json = {}
    for name, value in spelled(schema).items():
        if name in _COUNTS:
            told[name] = int(value) if type(value) is str and value.isascii() and value.isdigit() else value
        elif name in ("properties", "defs"):
            told["$defs" if name == "defs" else name] = _named(value)
        elif name in ("items", "additionalProperties"):
            told[name] = as_json_schema(value)
        elif name == "anyOf":
            told[name] = [as_json_schema(each) for each in value] if type(value) is list else value
        elif name == "ref":
            told["$ref"] = value.replace("#/defs/", "#/$defs/", 1) if type(value) is str else value
        elif name == "example":
            told["examples"] = [value]
        elif name not in ("type", "nullable", "propertyOrdering") and not (name == "format" and value == "enum"):
            told[name] = value
    return _typed(spelled(schema), told)


def _named(schemas: Any) -> Any:
    return {name: as_json_schema(each) for name, each in schemas.items()} if type(schemas) is dict else schemas


def _typed(schema: Json, told: Json) -> Json:
    """Return `told` with its type, which may be null besides."""
    kind = schema.get("type")
    if type(kind) is str and kind != "TYPE_UNSPECIFIED":
        told = {"type": kind.lower()} | told
    if schema.get("nullable") is not True:
        return told
    if "anyOf" in told and type(told["anyOf"]) is list:
        return told | {"anyOf": [*told["anyOf"], {"type": "null"}]}
    if "enum" in told and type(told["enum"]) is list:
        told = told | {"enum": [*told["enum"], None]}
    return told | {"type": [told["type"], "null"]} if "type" in told else told


def is_closed(schema: Any) -> bool:
    """Say whether OpenAI would take a schema as a strict one: every object closed, every property required."""
    if type(schema) is list:
        return all(is_closed(each) for each in schema)
    if type(schema) is not dict:
        return True
    if "properties" in schema or schema.get("type") == "object":
        properties, needed = schema.get("properties"), schema.get("required")
        if type(properties) is not dict or type(needed) is not list or schema.get("additionalProperties") is not False:
            return False
        return all(name in needed for name in properties) and all(is_closed(each) for each in properties.values())
    return all(is_closed(each) for name, each in schema.items() if name not in ("enum", "const", "default", "examples"))
