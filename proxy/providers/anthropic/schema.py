"""JSON schemas as Anthropic's structured outputs take them: what they do not know goes into the description.

Source: what Anthropic's own SDKs rewrite (`transform_schema`); lists of types and maps are not lost here.
"""

from typing import Any

import orjson

from proxy.body import Json

FORMATS = frozenset({"date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid"})
_KEPT = ("type", "enum", "const", "title", "default", "required")
_MAPS = ("$defs", "definitions", "properties")


def strict(given: Any) -> Any:
    """Return `given`, a schema, in the form that is taken. What is no object, and so no schema, stays as it is."""
    if type(given) is not dict:
        return given
    left = dict(given)
    made: Json = {name: left.pop(name) for name in _KEPT if name in left}
    for name in _MAPS:
        if type(left.get(name)) is dict:
            made[name] = {key: strict(each) for key, each in left.pop(name).items()}
    if "$ref" in left:
        return {name: made[name] for name in ("$defs", "definitions") if name in made} | {"$ref": left["$ref"]}
    _unions(left, made)
    _by_type(left, made)
    description = left.pop("description", None)
    notes = ", ".join(f"{name}: {_shown(value)}" for name, value in left.items() if name[:1] != "$")
    if description is not None or notes:
        words = [description] if type(description) is str and description else []
        made["description"] = "\n\n".join([*words, f"{{{notes}}}"] if notes else words)
    return made


def _unions(left: Json, made: Json) -> None:
    for name, known_as in (("anyOf", "anyOf"), ("oneOf", "anyOf"), ("allOf", "allOf")):
        if type(left.get(name)) is list and known_as not in made:
            made[known_as] = [strict(each) for each in left.pop(name)]


def _by_type(left: Json, made: Json) -> None:
    kinds = made.get("type")
    if kinds == "object" or "properties" in made or (type(kinds) is list and "object" in kinds):
        if left.get("additionalProperties") in (False, None):
            left.pop("additionalProperties", None)
        made.setdefault("properties", {})
        made["additionalProperties"] = False
    if "items" in left:
        made["items"] = strict(left.pop("items"))
    if left.get("minItems") in (0, 1):
        made["minItems"] = left.pop("minItems")
    if type(left.get("format")) is str and left["format"] in FORMATS:
        made["format"] = left.pop("format")


def _shown(value: Any) -> str:
    return value if type(value) is str else orjson.dumps(value).decode()
