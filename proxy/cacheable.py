"""What may be kept and given again: judged by the request, and by the bytes of the answer, dialect by dialect.

Never: what depends on something that a provider remembers (stored responses, uploaded files, prompts in its keep) or
finds out anew (its own tools, the web), and answers that were refused, filtered or not finished.
"""

import re
from collections.abc import Callable
from typing import Any

from proxy.call import Call

OPERATIONS = frozenset({"chat", "embeddings"})
# What refers to a provider's memory. In a text such a word has escaped quotes around it.
_FILE = b'"file'
_FILES = (b'"file_id"', b'"fileData"', b'"file_data"', b'"fileUri"', b'"file_uri"')
_REMEMBERED = ("store", "web_search_options", "search_parameters", "previous_response_id", "conversation")
_REMEMBERED_TOO = ("background", "mcp_servers", "container", "cachedContent", "cached_content")
_REFERS = frozenset((*_REMEMBERED, *_REMEMBERED_TOO))
# Tools that the caller runs himself. Whatever else a tool is, the provider runs it, each time with another outcome.
_CALLERS = frozenset({None, "function", "custom"})
_CALLERS_TOO = ("bash_", "text_editor_", "computer_", "memory_")  # Anthropic's, by their first letters
_DECLARED = frozenset({"functionDeclarations", "function_declarations"})  # Gemini's

_STOP_REASON = re.compile(rb'"stop_reason"\s*:\s*"(\w+)"')
_FINISH_REASON = re.compile(rb'"finish_reason"\s*:\s*"(\w+)"')
_GEMINI_REASON = re.compile(rb'"finishReason"\s*:\s*"(\w+)"')
_RESPONSE_REFUSED = re.compile(rb'"type"\s*:\s*"(?:refusal|response\.refusal\.\w+)"')
_RESPONSE_WHOLE = re.compile(rb'"status"\s*:\s*"completed"')


def may_ask(call: Call) -> bool:
    """Say whether an equal request would get an equal answer."""
    asked = call.asked
    if call.passing is not None or asked.operation not in OPERATIONS or not _REFERS.isdisjoint(_told(asked.body)):
        return False
    tools = asked.body.get("tools")
    if tools and _anybody_elses(tools):
        return False
    return _FILE not in asked.raw or not any(mark in asked.raw for mark in _FILES)


def _told(body: dict[str, Any]) -> Any:
    """Return the members of a request, but for `store` where that says no."""
    return body.keys() if body.get("store", True) else body.keys() - {"store"}


def _anybody_elses(tools: Any) -> bool:
    return not isinstance(tools, list) or not all(isinstance(tool, dict) and _is_callers(tool) for tool in tools)


def _is_callers(tool: dict[str, Any]) -> bool:
    kind = tool.get("type")
    if kind is None and "name" not in tool and "function" not in tool:
        return _DECLARED.issuperset(tool)
    return kind in _CALLERS or (isinstance(kind, str) and kind.startswith(_CALLERS_TOO))


def may_keep(dialect: str, answer: bytes) -> bool:
    """Say whether an answer, plain or a whole stream, is one to give again; `dialect` is what its bytes are."""
    judge = _JUDGES.get(dialect)
    return judge is not None and judge(answer)


def _chunks(answer: bytes) -> bool:
    return b'"content_filter"' not in answer and b'"refusal":"' not in answer and b"data:" in answer


def _by(reasons: re.Pattern[bytes], good: frozenset[bytes]) -> Callable[[bytes], bool]:
    """Judge by the reasons why an answer ended: there is one, and all are good."""

    def judge(answer: bytes) -> bool:
        found = set(reasons.findall(answer))
        return bool(found) and found <= good

    return judge


def _response(answer: bytes) -> bool:
    return _RESPONSE_WHOLE.search(answer) is not None and _RESPONSE_REFUSED.search(answer) is None


def _gemini(answer: bytes) -> bool:
    return b'"blockReason"' not in answer and _FINISHED_GEMINI(answer)


_FINISHED_GEMINI = _by(_GEMINI_REASON, frozenset({b"STOP", b"MAX_TOKENS"}))
_JUDGES: dict[str, Callable[[bytes], bool]] = {
    "chunks": _chunks,
    "completions": _by(_FINISH_REASON, frozenset({b"stop", b"length"})),
    "embeddings": lambda answer: b'"embedding"' in answer,
    "anthropic": _by(_STOP_REASON, frozenset({b"end_turn", b"tool_use", b"stop_sequence", b"max_tokens"})),
    "responses": _response,
    "gemini": _gemini,
}
