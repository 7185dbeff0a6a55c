"""What a provider wants back on the next turn, packed into a reasoning item's `encrypted_content`.

Callers of the Responses API send reasoning items back as they got them, so signatures survive there without any
storage of ours. It is packed, not secret: it is the caller's own conversation, and the provider checks its signatures.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Any

import orjson

Json = dict[str, Any]
PREFIX = "qlite1."
OURS = "rs_ql_"  # begins the ids of reasoning items that OpenAI has never seen


class State:
    """Anthropic's thinking blocks, and Gemini's signatures: of the message, and by call id of its calls."""

    def __init__(self) -> None:
        self.blocks: list[Json] = []
        self.extra: Json = {}
        self.extras: dict[str, Json] = {}

    def __bool__(self) -> bool:
        return bool(self.blocks or self.extra or self.extras)

    def take(self, message: Json) -> None:
        """Collect from an assistant's message, or from one delta of it."""
        for block in objects(message.get("thinking_blocks")):
            last = self.blocks[-1] if self.blocks else {}
            if last.get("type") == block.get("type") == "thinking" and not last.get("signature"):
                self.blocks[-1] = block | {"thinking": str(last.get("thinking", "")) + str(block.get("thinking", ""))}
            else:
                self.blocks.append(block)
        if isinstance(extra := message.get("extra_content"), dict):
            self.extra = extra

    def take_call(self, call_id: str, call: Json) -> None:
        """Collect what is attached to one tool call."""
        if isinstance(extra := call.get("extra_content"), dict):
            self.extras[call_id] = extra

    def pack(self) -> str:
        held = {"blocks": self.blocks, "extra": self.extra, "extras": self.extras}
        told = {name: value for name, value in held.items() if value}
        return PREFIX + urlsafe_b64encode(orjson.dumps(told)).decode()

    def unpack(self, packed: str) -> bool:
        """Take in what `pack` made, and say whether it was ours; anything else leaves the state as it is."""
        if not packed.startswith(PREFIX):
            return False
        try:
            found = orjson.loads(urlsafe_b64decode(packed[len(PREFIX) :]))
        except ValueError:
            return False
        if not isinstance(found, dict):
            return False
        self.blocks += objects(found.get("blocks"))
        extra, extras = found.get("extra"), found.get("extras")
        if isinstance(extra, dict):
            self.extra |= extra
        if isinstance(extras, dict):
            self.extras |= {key: extra for key, extra in extras.items() if isinstance(extra, dict)}
        return True


def objects(value: Any) -> list[Json]:
    """Return the objects in a list; providers and callers send anything."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def calls_in(said: Json) -> list[Json]:
    """Return the calls in a message or delta, also one that is told as they were before there could be several."""
    alone = said.get("function_call")
    return objects(said.get("tool_calls")) or ([{"index": 0, "function": alone}] if isinstance(alone, dict) else [])
