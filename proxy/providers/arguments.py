"""Arguments of calls: text in OpenAI's chat, an object for Anthropic and Google."""

import orjson

from proxy.body import Json

# Arguments a model once wrote that are no JSON object: kept under this name, so that the conversation can go on.
INVALID = "invalid_arguments"
DEEP = 200  # brackets; what has fewer is flat enough to be written again


def input_of(arguments: str) -> Json:
    """Return a call's arguments as an object. What is none, such as JSON that was cut short, is kept as text."""
    if not arguments.strip():
        return {}
    try:
        value = orjson.loads(arguments)
        if arguments.count("{") + arguments.count("[") > DEEP:
            orjson.dumps([[[[[[[[value]]]]]]]])  # as deep as it will stand, which may be deeper than can be written
    except (ValueError, TypeError):
        return {INVALID: arguments}
    return value if type(value) is dict else {INVALID: arguments}
