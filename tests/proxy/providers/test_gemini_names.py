"""Google refuses names it does not know: every request of the golden files is held against its own client's types."""

from pathlib import Path
from typing import Any

import orjson
import pytest

types = pytest.importorskip("google.genai.types")

GOLDEN = Path(__file__).parents[2] / "golden" / "gemini"
REQUESTS = sorted((GOLDEN / "request").glob("*.expected.json"))
OTHERS = {"cachedContent", "serviceTier"}


def held(kind: Any, value: Any) -> Any:
    """Return `value` read as one of the client's types, which allow no other names."""
    return kind.model_validate(value)


@pytest.mark.parametrize("path", REQUESTS, ids=lambda path: path.name.partition(".")[0])
def test_it_uses_no_name_that_google_does_not_know(path: Path) -> None:
    body = orjson.loads(path.read_bytes()).get("body")
    if body is None:
        return
    for content in body.pop("contents"):
        held(types.Content, content)
    for name, kind in (
        ("systemInstruction", types.Content),
        ("toolConfig", types.ToolConfig),
        ("generationConfig", types.GenerationConfig),
    ):
        if name in body:
            held(kind, body.pop(name))
    for tool in body.pop("tools", []):
        held(types.Tool, tool)
    assert body.keys() <= OTHERS


@pytest.mark.parametrize("path", sorted((GOLDEN / "reply").glob("*.json")), ids=lambda path: path.stem)
def test_the_answers_in_the_golden_files_are_googles(path: Path) -> None:
    body = orjson.loads(path.read_bytes()).get("body")
    if body is None or path.stem.startswith(("nonsense", "error", "usage-nonsense", "finish-something-new")):
        return
    held(types.GenerateContentResponse, body)
