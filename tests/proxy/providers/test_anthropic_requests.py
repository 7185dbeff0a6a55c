"""Chat requests as Anthropic gets them: each file in tests/golden/anthropic/request beside what is expected of it."""

import json
from pathlib import Path
from typing import Any

import orjson
import pytest

from proxy import chat as chats
from proxy.errors import BadRequest
from proxy.providers.anthropic import Anthropic
from routing.values import Provider, Target

GOLDEN = Path(__file__).parents[2] / "golden" / "anthropic" / "request"
CASES = sorted(path for path in GOLDEN.glob("*.json") if not path.name.endswith(".expected.json"))
PROVIDER = Provider("claude", "anthropic", "https://api.anthropic.com", secret="sk-ant-canary")


def translated(chat: dict[str, Any], model: str) -> dict[str, Any]:
    """What becomes of a request, in the form of the expected files."""
    try:
        out = Anthropic().request(chats.parse(orjson.dumps(chat)), Target("m", PROVIDER, model))
    except BadRequest as error:
        return {"refused": {"param": error.param, "code": error.code}}
    return {"body": orjson.loads(out.body), "ignored": list(out.ignored)}


def test_there_are_enough_of_them() -> None:
    assert len(CASES) >= 40


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_it_says_what_is_expected(path: Path) -> None:
    given = json.loads(path.read_text())
    assert translated(given["chat"], given["target"]) == json.loads(path.with_suffix(".expected.json").read_text())
