import ast
import json
import shlex

import pytest

from accounts.portal.snippets import curl, model_for, python

ROUTES = ["gpt-5", "stub", "stub/*"]


@pytest.mark.parametrize(
    ("granted", "model"),
    [
        ([], "gpt-5"),
        (["stub"], "stub"),
        (["s*"], "stub"),
        (["house-7b"], "house-7b"),
        (["x-*", "house-7b"], "house-7b"),
        (["x-*"], "gpt-5"),
    ],
)
def test_it_names_a_model_that_the_key_may_use(granted: list[str], model: str) -> None:
    assert model_for(granted, ROUTES) == model


def test_it_has_something_to_say_without_routes() -> None:
    assert model_for([], []) == "MODEL"


@pytest.mark.parametrize("model", ["gpt-5", "it's", 'a"b', "$(reboot)", "`x`", "\\", "naïve"])
def test_it_quotes_what_is_pasted(model: str) -> None:
    words = shlex.split(curl("https://llm.example", "sk-ql_x", model))
    assert words[1] == "https://llm.example/v1/chat/completions"
    assert json.loads(words[-1])["model"] == model
    call = python("https://llm.example", "sk-ql_x", model)
    assert model in {node.value for node in ast.walk(ast.parse(call)) if isinstance(node, ast.Constant)}
