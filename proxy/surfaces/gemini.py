"""Gemini's own URLs, /v1beta and /v1 alike: the model and what is asked of it stand in the path."""

from typing import Any
from urllib.parse import parse_qs

from proxy.dialects.gemini.frames import ArrayChunks
from proxy.surfaces.answers import EVENTS, JSON, Answer
from proxy.surfaces.chat import ask
from proxy.surfaces.request import GatewayRequest
from proxy.surfaces.shape import GEMINI

METHODS: dict[str, dict[str, Any]] = {
    "generateContent": {"operation": "chat"},
    "streamGenerateContent": {"operation": "chat", "stream": True},
    "countTokens": {"operation": "count_tokens"},
    "embedContent": {"operation": "embeddings"},
    "batchEmbedContents": {"operation": "batch_embeddings"},
}


async def generate(request: GatewayRequest, model: str, method: str) -> Answer:
    """POST .../models/{model}:generateContent or another of METHODS. The key may stand in the URL."""
    request.dialect = GEMINI
    answer = await ask(request, "gemini", GEMINI, key_in_url=True, model=model, **METHODS[method])
    answer.events = False  # google-genai (3.4.0) takes a comment for JSON, and fails
    asked = parse_qs(request.scope.get("query_string") or b"")
    if answer.chunks is None or b"sse" in (*asked.get(b"alt", ()), *asked.get(b"$alt", ())):
        return answer
    # Without alt=sse a stream is one JSON array that grows.
    pairs = [JSON, *(pair for pair in answer.pairs if pair not in EVENTS)]
    return Answer(answer.status_code, pairs, chunks=ArrayChunks(answer.chunks), events=False)
