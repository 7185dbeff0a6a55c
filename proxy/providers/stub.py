"""The built-in provider: answers OpenAI chat without a network, so that a new gateway can be tried at once.

The model's name chooses what happens: `stub` answers, `stub/slow` takes its time, `stub/429` and any other status
fails with it, `stub/cut` breaks off in mid-stream, `stub/stall` falls silent, `stub/error` reports an error inside
the stream, `stub/no-usage` forgets to say what it used, `stub/bad-json` answers nonsense.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import orjson

ANSWER = "Hello from the stub of qlite. It needs no provider, costs nothing, and always says the same."
WORD_SECONDS = 0.02
SLOW_SECONDS = 0.5
SHAPE = {"id": "chatcmpl-stub", "system_fingerprint": "stub"}


class Words(httpx.AsyncByteStream):
    """A body that arrives in parts, each after a pause of `seconds`; `then` says how it ends."""

    def __init__(self, parts: list[bytes], seconds: float, then: str = "end") -> None:
        self._parts, self._seconds, self._then = iter(parts), seconds, then
        self.ended = False
        self.patience = 60.0  # seconds that the caller of a silent stub waits

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while part := await self.next():
            yield part

    async def next(self) -> bytes:
        if self._seconds:
            await asyncio.sleep(self._seconds)
        part = next(self._parts, b"")
        if not part:
            self.ended = True
            if self._then == "cut":
                raise httpx.RemoteProtocolError("the stub broke off")
            if self._then == "stall":
                await asyncio.sleep(self.patience)
                raise httpx.ReadTimeout("the stub fell silent")
        return part

    async def aclose(self) -> None:
        self.close()

    def wait_at_most(self, seconds: float) -> None:
        self.patience = seconds

    def close(self) -> None:
        self.ended = True


class StubTransport(httpx.AsyncBaseTransport):
    """Answers instead of the network."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        body = orjson.loads(request.content)
        fault = str(body["model"]).partition("/")[2]
        if fault.isdigit() and 400 <= int(fault) <= 599:
            return _refusal(int(fault))
        if fault == "bad-json":
            return httpx.Response(200, headers={"content-type": "application/json"}, stream=Words([b"{oops"], 0))
        message = _message(body)
        pause = SLOW_SECONDS if fault == "slow" else WORD_SECONDS
        usage = None if fault == "no-usage" else _usage(body, message)
        if body.get("stream"):
            return _stream(body, message, usage, pause, fault)
        if fault == "stall":
            await asyncio.sleep((request.extensions.get("timeout") or {}).get("read") or 60.0)
            raise httpx.ReadTimeout("the stub does not answer")
        await asyncio.sleep(SLOW_SECONDS if fault == "slow" else 0)
        reply = _shape(body, "chat.completion") | {
            "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": _reason(message)}]
        }
        if usage:
            reply["usage"] = usage
        return httpx.Response(200, headers={"content-type": "application/json"}, stream=Words([orjson.dumps(reply)], 0))


def _refusal(status: int) -> httpx.Response:
    error = {"message": f"The stub was asked for status {status}.", "type": "stub_error", "param": None, "code": None}
    headers = {"content-type": "application/json"} | ({"retry-after": "1"} if status in {429, 503} else {})
    return httpx.Response(status, headers=headers, stream=Words([orjson.dumps({"error": error})], 0))


def _message(body: dict[str, Any]) -> dict[str, Any]:
    """Return the assistant's message: a tool call where tools are offered and none has answered yet, else words."""
    asked = body["messages"][-1].get("role") != "tool"
    tool = _tool(body) if asked and body.get("tool_choice") != "none" else None
    if tool is not None:
        return {"role": "assistant", "content": None, "tool_calls": [_call(tool)], "refusal": None}
    wanted = _dict(body.get("response_format")).get("type", "text")
    text = ANSWER if wanted == "text" else orjson.dumps({"answer": ANSWER}).decode()
    return {"role": "assistant", "content": text, "refusal": None}


def _tool(body: dict[str, Any]) -> dict[str, Any] | None:
    """Return the tool to call: the one that was chosen by name, else the first."""
    tools = body.get("tools")
    offered = [each for each in tools if isinstance(each, dict)] if isinstance(tools, list) else []
    chosen = _dict(_dict(body.get("tool_choice")).get("function")).get("name")
    return next((each for each in offered if chosen and _dict(each.get("function")).get("name") == chosen), None) or (
        offered[0] if offered else None
    )


def _call(tool: dict[str, Any]) -> dict[str, Any]:
    id = "call_stub0000000000000000000"
    if tool.get("type") == "custom":
        return {"id": id, "type": "custom", "custom": {"name": _dict(tool.get("custom")).get("name"), "input": "stub"}}
    function = _dict(tool.get("function"))
    told = {"name": function.get("name", "tool"), "arguments": _arguments(function)}
    return {"id": id, "type": "function", "function": told}


def _arguments(function: dict[str, Any]) -> str:
    properties = _dict(_dict(function.get("parameters")).get("properties"))
    return orjson.dumps({name: _sample(_dict(spec)) for name, spec in properties.items()}).decode()


def _sample(spec: dict[str, Any]) -> Any:
    """Return a value of the type that `spec`, a JSON Schema, asks for; the first one where it names several."""
    if isinstance(spec.get("enum"), list) and spec["enum"]:
        return spec["enum"][0]
    kind = spec.get("type")
    kind = kind[0] if isinstance(kind, list) and kind else kind
    samples = {"string": "stub", "integer": 1, "number": 1.0, "boolean": True, "array": [], "object": {}, "null": None}
    return samples.get(kind, "stub") if isinstance(kind, str) else "stub"


def _dict(value: Any) -> dict[str, Any]:
    """Callers send anything, and the stub answers all of it."""
    return value if isinstance(value, dict) else {}


def _reason(message: dict[str, Any]) -> str:
    return "tool_calls" if message.get("tool_calls") else "stop"


def _usage(body: dict[str, Any], message: dict[str, Any]) -> dict[str, int]:
    """Count words, roughly as a tokenizer would: the same request always costs the same."""
    prompt = max(1, len(orjson.dumps(body["messages"])) // 4)
    completion = max(1, len(orjson.dumps(message)) // 4)
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


def _shape(body: dict[str, Any], kind: str) -> dict[str, Any]:
    return SHAPE | {"object": kind, "created": int(time.time()), "model": body["model"]}


def _stream(
    body: dict[str, Any], message: dict[str, Any], usage: dict[str, int] | None, pause: float, fault: str
) -> httpx.Response:
    shape = _shape(body, "chat.completion.chunk")

    def chunk(delta: dict[str, Any], reason: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}
        return b"data: " + orjson.dumps(shape | {"choices": [choice]}) + b"\n\n"

    parts = [chunk({"role": "assistant", "content": None if message.get("tool_calls") else ""})]
    if calls := message.get("tool_calls"):
        parts.append(chunk({"tool_calls": [calls[0] | {"index": 0}]}))
    else:
        words = message["content"].split(" ")
        parts += [chunk({"content": word if place == 0 else " " + word}) for place, word in enumerate(words)]
    if fault in {"cut", "stall", "error"}:
        parts = parts[: len(parts) // 2]
        if fault == "error":
            parts.append(b'data: {"error": {"message": "The stub was asked to fail.", "code": "stub_error"}}\n\n')
    else:
        parts.append(chunk({}, _reason(message)))
        if usage and _dict(body.get("stream_options")).get("include_usage"):
            parts.append(b"data: " + orjson.dumps(shape | {"choices": [], "usage": usage}) + b"\n\n")
        parts.append(b"data: [DONE]\n\n")
    then = fault if fault in {"cut", "stall"} else "end"
    return httpx.Response(200, headers={"content-type": "text/event-stream"}, stream=Words(parts, pause, then))
