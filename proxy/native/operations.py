"""What a request to a provider's own API asks for, by its path: who reads the usage, and what it is metered in."""

import re
from dataclasses import dataclass, field, replace
from urllib.parse import unquote

from proxy.dialects.base import Dialect
from proxy.dialects.completions import Completions
from proxy.dialects.embeddings import Embeddings
from proxy.dialects.gemini import GeminiCaller
from proxy.dialects.messages import Messages
from proxy.dialects.openai_chat import OpenAIChat
from proxy.dialects.responses import Responses

NAMELESS = "-"  # stands where a call names no model
OPENAI, ANTHROPIC, GEMINI = "openai", "anthropic", "gemini"
FAMILIES = {"openai": OPENAI, "groq": OPENAI, "anthropic": ANTHROPIC, "gemini": GEMINI}


@dataclass(frozen=True, slots=True)
class Operation:
    """One kind of call.

    `counted`: tokens are estimated where the provider reports none. `free`: nobody bills it. `per_request`: each call
    is one unit of `requests`, or each image where that is what it makes. `makes`: the class of the tokens that come
    out, where they are no text. `known`: its model stands where we look for it. `model` is there if the path says it.
    `opaque`: what is sent is nobody's to read.
    """

    name: str
    dialect: Dialect | None = field(default=None, compare=False)
    counted: bool = False
    free: bool = False
    per_request: bool = False
    makes: str = "output"
    known: bool = True
    opaque: bool = False
    stream: bool = False
    model: str = ""


OTHER = Operation("other", known=False)
UPLOAD = Operation("upload", known=False, opaque=True)
TABLE = {
    OPENAI: {
        "chat/completions": Operation("chat", OpenAIChat(), counted=True),
        "completions": Operation("completions", Completions(), counted=True),
        "responses": Operation("responses", Responses(), counted=True),
        "embeddings": Operation("embeddings", Embeddings(), counted=True),
        "images/generations": Operation("images", per_request=True, makes="image_output"),
        "images/edits": Operation("images", per_request=True, makes="image_output"),
        "images/variations": Operation("images", per_request=True, makes="image_output"),
        "audio/speech": Operation("speech", per_request=True, makes="audio_output"),
        "audio/transcriptions": Operation("transcriptions", per_request=True),
        "audio/translations": Operation("translations", per_request=True),
        "moderations": Operation("moderations", per_request=True),
        "rerank": Operation("rerank", per_request=True),
    },
    ANTHROPIC: {
        "messages": Operation("messages", Messages(), counted=True),
        "messages/count_tokens": Operation("count_tokens", free=True),
    },
    GEMINI: {
        "generateContent": Operation("chat", GeminiCaller(), counted=True),
        "streamGenerateContent": Operation("chat", GeminiCaller(), counted=True, stream=True),
        "countTokens": Operation("count_tokens", free=True),
        "embedContent": Operation("embeddings", counted=True),
        "batchEmbedContents": Operation("embeddings", counted=True),
    },
}
_GEMINI = re.compile(r"((?:models|tunedModels)/[^/:]+):([A-Za-z]+)")


def find(family: str, method: str, path: str) -> Operation:
    """Return what `method` on `path`, below the version, means in that family of APIs; OTHER if we do not know."""
    if method != "POST":
        return OTHER
    if family != GEMINI:
        return TABLE[family].get(unquote(path).rstrip("/"), OTHER)
    named = _GEMINI.fullmatch(unquote(path))
    known = TABLE[GEMINI].get(named[2]) if named else None
    return replace(known, model=named[1].removeprefix("models/")) if named and known else OTHER
