"""What the makers of the three dialects publish about their answers, as validators.

The schemas are those of the makers' own SDKs, whose types are generated from what they publish; nothing is copied
here. The SDKs read leniently, so that a missing member is None; what OpenAI's reference says is always there, null or
not, stands in ALWAYS.
"""

from typing import Any

from anthropic.types import Message, MessageTokensCount, RawMessageStreamEvent
from google.genai.types import GenerateContentResponse
from jsonschema import Draft202012Validator
from openai.types import Completion, CreateEmbeddingResponse, Model
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

ALWAYS = {
    "ChatCompletion": {"Choice": ["logprobs"], "ChatCompletionMessage": ["content", "refusal"]},
    "ChatCompletionChunk": {"Choice": ["finish_reason"]},
    "Completion": {"CompletionChoice": ["logprobs"]},
    "Response": {
        "Response": ["error", "incomplete_details", "instructions", "metadata", "temperature", "top_p"],
        "ResponseUsage": ["input_tokens_details", "output_tokens_details"],
    },
}


def _validator(published: Any, always: str = "") -> Draft202012Validator:
    schema = TypeAdapter(published).json_schema()
    for name, members in ALWAYS.get(always, {}).items():
        found = schema if schema.get("title") == name else schema["$defs"][name]
        assert set(members) <= set(found["properties"]), name
        found["required"] = sorted({*found.get("required", []), *members})
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def _listed(schema: Any) -> dict[str, Any]:
    need = ["object", "data"]
    return {"type": "object", "required": need, "properties": {"object": {"const": "list"}, "data": {"items": schema}}}


MAYBE = {"type": ["string", "null"]}
FIELDS: dict[str, Any] = {"message": {"type": "string", "minLength": 1}, "type": {"type": "string", "minLength": 1}}
FIELDS |= {"param": MAYBE, "code": MAYBE}
ERROR = {"type": "object", "required": sorted(FIELDS), "properties": FIELDS, "additionalProperties": False}

CHAT = _validator(ChatCompletion, "ChatCompletion")
CHAT_CHUNK = _validator(ChatCompletionChunk, "ChatCompletionChunk")
COMPLETION = _validator(Completion, "Completion")
EMBEDDINGS = _validator(CreateEmbeddingResponse)
RESPONSE = _validator(Response, "Response")
RESPONSE_EVENT = _validator(ResponseStreamEvent, "Response")
MODEL = _validator(Model)
MODELS = Draft202012Validator(_listed(TypeAdapter(Model).json_schema()))
OPENAI_ERROR = Draft202012Validator({"type": "object", "required": ["error"], "properties": {"error": ERROR}})
MESSAGE = _validator(Message)
MESSAGE_EVENT = _validator(RawMessageStreamEvent)
TOKENS = _validator(MessageTokensCount)


def generated(value: Any) -> None:
    """Google's types forbid what they do not know, and convert nothing when they are strict."""
    GenerateContentResponse.model_validate_json(value if isinstance(value, bytes) else str(value).encode())
