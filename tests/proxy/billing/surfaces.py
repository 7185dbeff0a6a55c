"""Every surface that bills tokens, at every kind of provider: what is asked, what comes back, what that costs.

Prices are nano-USD a token, each class its own, so that a token in the wrong class shows in the amount.
"""

from dataclasses import dataclass
from typing import Any

from accounts.prices import Price
from tests.proxy.billing import wires
from tests.proxy.billing.wires import Wire

NANO = {
    "input": 1_000,
    "cached_input": 100,
    "cache_write": 1_250,
    "output": 5_000,
    "reasoning": 7_000,
    "audio_input": 11_000,
    "audio_output": 13_000,
    "requests": 40_000,
    "cache_write_1h": 2_000,
    "image_input": 1_500,
    "image_output": 20_000,
    "seconds": 300_000,
    "searches": 10_000_000,
    "characters": 6_000,
    "cached_audio": 900,
    "cached_image": 800,
}
PRICE = Price(1, "", "", "*", 0.0, {unit: nano * 1_000_000 for unit, nano in NANO.items() if unit != "requests"})
BY_REQUEST = Price(2, "", "", "*", 0.0, {unit: nano * 1_000_000 for unit, nano in NANO.items()})

# By wire: usage as the provider reports it, the classes it is, and the bill, all worked out by hand.
OPENAI_USED = {
    "prompt_tokens": 100,
    "completion_tokens": 60,
    "total_tokens": 160,
    "prompt_tokens_details": {"cached_tokens": 30, "audio_tokens": 10},
    "completion_tokens_details": {"reasoning_tokens": 20, "audio_tokens": 5},
}
OPENAI_CLASSES = {"input": 60, "cached_input": 30, "audio_input": 10, "output": 35, "reasoning": 20, "audio_output": 5}
OPENAI_COST = 553_000  # 60_000 + 3_000 + 110_000 + 175_000 + 140_000 + 65_000
ANTHROPIC_USED = {
    "input_tokens": 50,
    "cache_read_input_tokens": 30,
    "cache_creation_input_tokens": 20,
    "cache_creation": {"ephemeral_5m_input_tokens": 12, "ephemeral_1h_input_tokens": 8},
    "output_tokens": 40,
    "output_tokens_details": {"thinking_tokens": 15},
    "server_tool_use": {"web_search_requests": 2, "web_fetch_requests": 5},
}
ANTHROPIC_CLASSES = {
    "input": 50,
    "cached_input": 30,
    "cache_write": 12,
    "cache_write_1h": 8,
    "output": 25,
    "reasoning": 15,
    "searches": 2,
}
ANTHROPIC_COST = 20_314_000  # 50_000 + 3_000 + 15_000 + 16_000 + 125_000 + 105_000 + 20_000_000
GEMINI_USED = {
    "promptTokenCount": 100,
    "cachedContentTokenCount": 30,
    "toolUsePromptTokenCount": 7,
    "candidatesTokenCount": 40,
    "thoughtsTokenCount": 20,
    "totalTokenCount": 167,
    "promptTokensDetails": [
        *({"modality": "TEXT", "tokenCount": 85}, {"modality": "AUDIO", "tokenCount": 10}),
        {"modality": "IMAGE", "tokenCount": 5},
    ],
    "candidatesTokensDetails": [{"modality": "TEXT", "tokenCount": 36}, {"modality": "IMAGE", "tokenCount": 4}],
}
GEMINI_CLASSES = {
    "input": 62,
    "cached_input": 30,
    "audio_input": 10,
    "image_input": 5,
    "output": 36,
    "image_output": 4,
    "reasoning": 20,
}
GEMINI_COST = 582_500  # 62_000 + 3_000 + 110_000 + 7_500 + 180_000 + 80_000 + 140_000
RESPONSES_USED = {
    "input_tokens": 100,
    "output_tokens": 60,
    "total_tokens": 160,
    "input_tokens_details": {"cached_tokens": 30},
    "output_tokens_details": {"reasoning_tokens": 20},
}
RESPONSES_CLASSES = {"input": 70, "cached_input": 30, "output": 40, "reasoning": 20}
RESPONSES_COST = 413_000  # 70_000 + 3_000 + 200_000 + 140_000
COMPLETIONS_USED = {"prompt_tokens": 100, "completion_tokens": 60, "total_tokens": 160}
EMBEDDINGS_USED = {"prompt_tokens": 100, "total_tokens": 100}

BILLS: dict[int, tuple[Any, dict[str, int], int]] = {
    id(wires.CHAT): (OPENAI_USED, OPENAI_CLASSES, OPENAI_COST),
    id(wires.MESSAGES): (ANTHROPIC_USED, ANTHROPIC_CLASSES, ANTHROPIC_COST),
    id(wires.GEMINI): (GEMINI_USED, GEMINI_CLASSES, GEMINI_COST),
    id(wires.GEMINI_ARRAY): (GEMINI_USED, GEMINI_CLASSES, GEMINI_COST),
    id(wires.RESPONSES): (RESPONSES_USED, RESPONSES_CLASSES, RESPONSES_COST),
    id(wires.COMPLETIONS): (COMPLETIONS_USED, {"input": 100, "output": 60}, 400_000),
    id(wires.EMBEDDINGS): (EMBEDDINGS_USED, {"input": 100}, 100_000),
    id(wires.GEMINI_EMBEDDINGS): ({"promptTokenCount": 100}, {"input": 100}, 100_000),
}


@dataclass(frozen=True)
class Surface:
    """One surface at one kind of provider. `stream_path` and `stream_body` are "" and None where nothing streams."""

    name: str
    kind: str
    wire: Wire
    path: str
    body: Any
    stream_path: str = ""
    stream_body: Any = None
    stream_wire: Wire | None = None
    query: bytes = b""

    def __str__(self) -> str:
        return f"{self.name}@{self.kind}"

    @property
    def streams(self) -> bool:
        return self.stream_body is not None

    def way(self, *, stream: bool) -> tuple[str, Any, Wire]:
        if stream:
            return self.stream_path or self.path, self.stream_body, self.stream_wire or self.wire
        return self.path, self.body, self.wire


_HELLO = [{"role": "user", "content": "Count to four, please."}]
_CONTENTS = {"contents": [{"role": "user", "parts": [{"text": "Count to four, please."}]}]}
_WIRES = {"openai": wires.CHAT, "openai-compatible": wires.CHAT, "anthropic": wires.MESSAGES, "gemini": wires.GEMINI}


def _asked(name: str, kind: str, path: str, body: Any, wire: Wire | None = None) -> Surface:
    return Surface(name, kind, wire or _WIRES[kind], path, body, stream_body=body | {"stream": True})


def _of(kind: str) -> list[Surface]:
    """Every surface that any kind of provider serves."""
    model = f"my-{kind}/m-1"
    prompt = {"model": model, "prompt": "Count to four, please.", "max_tokens": 50}
    native = {"openai", "openai-compatible"}
    messages = {"model": model, "max_tokens": 50, "messages": _HELLO}
    proxied = {"model": model, "messages": _HELLO}
    found = [
        _asked("chat", kind, "/v1/chat/completions", {"model": model, "messages": _HELLO}),
        _asked("completions", kind, "/v1/completions", prompt, wires.COMPLETIONS if kind in native else None),
        _asked("messages", kind, "/v1/messages", messages),
        _asked(
            "responses",
            kind,
            "/v1/responses",
            {"model": model, "input": "Count to four, please."},
            wires.RESPONSES if kind == "openai" else None,
        ),
        Surface("proxy", kind, _WIRES[kind], "/proxy", proxied, "/proxy/stream", proxied),
    ]
    for version in ("v1beta", "v1"):
        url = f"/{version}/models/{model}"
        plain, streamed = f"{url}:generateContent", f"{url}:streamGenerateContent"
        found.append(Surface(f"gemini-{version}", kind, _WIRES[kind], plain, _CONTENTS, streamed, _CONTENTS))
    return found


def _own(name: str, kind: str, path: str, wire: Wire, body: Any) -> Surface:
    """A provider's own API."""
    return Surface(f"own-{name}", kind, wire, path, body, stream_body=body | {"stream": True})


_INPUT = {"model": "my-openai/m-1", "input": "Count to four, please."}
_OWN_CHAT = {"model": "m-1", "messages": _HELLO}
_GEMINI_URL = "/gemini/v1beta/models/m-1:"
SURFACES = [
    *(each for kind in _WIRES for each in _of(kind)),
    Surface("embeddings", "openai", wires.EMBEDDINGS, "/v1/embeddings", _INPUT),
    Surface(
        "embeddings", "gemini", wires.GEMINI_EMBEDDINGS, "/v1/embeddings", _INPUT | {"model": "my-gemini/gemini-x"}
    ),
    _own("chat", "openai", "/openai/v1/chat/completions", wires.CHAT, _OWN_CHAT),
    _own("chat", "groq", "/groq/openai/v1/chat/completions", wires.CHAT, _OWN_CHAT),
    _own("chat-short", "groq", "/groq/v1/chat/completions", wires.CHAT, _OWN_CHAT),
    _own(
        "responses",
        "openai",
        "/openai/v1/responses",
        wires.RESPONSES,
        {"model": "m-1", "input": "Count to four, please."},
    ),
    _own(
        "responses",
        "groq",
        "/groq/openai/v1/responses",
        wires.RESPONSES,
        {"model": "m-1", "input": "Count to four, please."},
    ),
    _own(
        "completions",
        "openai",
        "/openai/v1/completions",
        wires.COMPLETIONS,
        {"model": "m-1", "prompt": "Count to four, please."},
    ),
    Surface(
        "own-embeddings",
        "openai",
        wires.EMBEDDINGS,
        "/openai/v1/embeddings",
        {"model": "m-1", "input": "Count to four, please."},
    ),
    _own("messages", "anthropic", "/anthropic/v1/messages", wires.MESSAGES, _OWN_CHAT | {"max_tokens": 50}),
    Surface(
        "own-events",
        "gemini",
        wires.GEMINI,
        f"{_GEMINI_URL}generateContent",
        _CONTENTS,
        f"{_GEMINI_URL}streamGenerateContent",
        _CONTENTS,
        query=b"alt=sse",
    ),
    Surface(
        "own-array",
        "gemini",
        wires.GEMINI,
        f"{_GEMINI_URL}generateContent",
        _CONTENTS,
        f"{_GEMINI_URL}streamGenerateContent",
        _CONTENTS,
        stream_wire=wires.GEMINI_ARRAY,
    ),
]
STREAMED = [each for each in SURFACES if each.streams]
WAYS = [(each, False) for each in SURFACES] + [(each, True) for each in STREAMED]


def cost_of(usage: dict[str, int]) -> int:
    return sum(NANO[unit] * count for unit, count in usage.items())
