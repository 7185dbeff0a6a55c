"""JSON Schema as Gemini reads it: nearly as it stands, since `parametersJsonSchema` and `responseJsonSchema` take it.

Source: Gemini API reference, GenerationConfig.responseJsonSchema: "If `$ref` is set on a sub-schema, no other
properties, except for those starting with a `$`, may be set." Keywords it does not support are ignored there.
"""

from typing import Any

from proxy.body import Json

# Members whose values are schemas by name, a schema each, or lists of them. Everything else is data, left alone.
_NAMED = frozenset({"properties", "$defs", "definitions", "patternProperties", "dependentSchemas"})
_ONE_OR_MORE = frozenset({"items", "prefixItems", "anyOf", "oneOf", "allOf", "not", "if", "then", "else", "contains"})
_ONE = frozenset({"additionalProperties", "unevaluatedProperties", "propertyNames", "additionalItems"})
# What may stand beside an object without properties and still say nothing about arguments.
_SAYS_NOTHING = frozenset({"type", "properties", "required", "additionalProperties", "$schema", "title", "description"})


def tidy(schema: Any) -> Any:
    """Return `schema` with every reference alone: what stands beside it goes around it."""
    if type(schema) is list:
        return [tidy(each) for each in schema]
    if type(schema) is not dict:
        return schema
    return _reference_alone({name: _member(name, value) for name, value in schema.items()})


def takes_nothing(parameters: Json) -> bool:
    """Say whether a function's parameters are an object without members, which Gemini wants left out."""
    return (
        parameters.keys() <= _SAYS_NOTHING
        and parameters.get("type", "object") == "object"
        and not parameters.get("properties")
        and not parameters.get("required")
        and parameters.get("additionalProperties") in (None, False)
    )


def _member(name: str, value: Any) -> Any:
    if name in _NAMED and type(value) is dict:
        return {each: tidy(inner) for each, inner in value.items()}
    return tidy(value) if name in _ONE_OR_MORE or name in _ONE else value


def _reference_alone(schema: Json) -> Json:
    rest = {name: value for name, value in schema.items() if not name.startswith("$")}
    if "$ref" not in schema or not rest or "anyOf" in schema:
        return schema
    kept = {name: value for name, value in schema.items() if name != "$ref"}
    return kept | {"anyOf": [{"$ref": schema["$ref"]}]}
