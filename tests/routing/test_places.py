"""A sentence about an entry of a YAML file says the line where the entry stands."""

import pytest

from routing.places import located

TEXT = """\
version: 1
providers:
- {name: house, kind: openai-compatible}
- nme: other
routes:
- name: chat
  targets:
  - provider: house
  - {provider: house,
     model: x}
- name: chat-2
- name: it's
- just a word
"""


@pytest.mark.parametrize(
    ("sentence", "line"),
    [
        ("provider 'house': kind: no", 3),
        ("provider house: its address is refused", 3),
        ("provider number 2 has a field that is not known: nme", 4),
        ("route 'chat': retries: no", 6),
        ("route chat: no provider is called 'x'", 6),
        ("route chat (team red): no", 6),
        ("route 'chat', target 1: weight: no", 8),
        ("route 'chat', target 2: weight: no", 9),
        ("route 'chat-2': no", 11),
        ('route "it\'s": no', 12),
        ("route number 4 is not a mapping", 13),
    ],
)
def test_it_says_the_line(sentence: str, line: int) -> None:
    assert located(sentence, TEXT) == f"line {line}: {sentence}"


@pytest.mark.parametrize(
    "sentence", ["version 9 is not known", "route 'cha': no", "provider x: no", "routes has 'chat' twice"]
)
def test_it_leaves_what_is_about_no_entry(sentence: str) -> None:
    assert located(sentence, TEXT) == sentence


@pytest.mark.parametrize("text", ["", "[" * 100_000, "a: [", "providers: 1\nroutes: {a: b}"])
def test_it_bears_any_text(text: str) -> None:
    assert located("this is not YAML", text) == "this is not YAML"


@pytest.mark.parametrize("text", ["", "providers: 1", "routes: {a: b}", "routes: [{name: [], targets: 1}]", "[1]"])
def test_it_bears_any_yaml(text: str) -> None:
    assert located("route 'a': no", text) == "route 'a': no"
