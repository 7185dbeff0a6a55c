"""Pages of a list, as the clients of Anthropic and Google ask for them."""

from typing import Any

import pytest

from proxy.errors import BadRequest
from proxy.surfaces.paging import anthropic, gemini

CLAUDES: list[Any] = [{"id": each} for each in "abcde"]
GEMINIS: list[Any] = [{"name": f"models/{each}"} for each in "abcde"]


def ids(page: dict[str, Any]) -> str:
    return "".join(each["id"] for each in page["data"])


@pytest.mark.parametrize(
    ("asked", "told", "more"),
    [
        ({}, "abcde", False),
        ({"limit": "2"}, "ab", True),
        ({"limit": "2", "after_id": "b"}, "cd", True),
        ({"limit": "2", "after_id": "d"}, "e", False),
        ({"after_id": "e"}, "", False),
        ({"limit": "2", "before_id": "d"}, "bc", True),
        ({"limit": "2", "before_id": "c"}, "ab", False),
        ({"before_id": "b"}, "a", False),
        ({"limit": "1000"}, "abcde", False),
    ],
    ids=str,
)
def test_anthropics_pages(asked: dict[str, str], told: str, more: bool) -> None:
    page = anthropic(CLAUDES, asked)
    assert (ids(page), page["has_more"]) == (told, more)
    assert (page["first_id"], page["last_id"]) == ((told[0], told[-1]) if told else (None, None))


def test_googles_pages_lead_from_one_to_the_next() -> None:
    asked, heard = {"pageSize": "2"}, []
    while True:
        page = gemini(GEMINIS, asked)
        heard.append([each["name"] for each in page["models"]])
        if "nextPageToken" not in page:
            break
        asked["pageToken"] = page["nextPageToken"]
    assert [len(each) for each in heard] == [2, 2, 1]
    assert [name for page in heard for name in page] == [each["name"] for each in GEMINIS]
    assert gemini(GEMINIS, {}) == {"models": GEMINIS}
    assert gemini([], {"pageSize": "5"}) == {"models": []}


@pytest.mark.parametrize(
    ("pages", "asked", "param"),
    [
        (anthropic, {"limit": "-1"}, "limit"),
        (anthropic, {"limit": "x"}, "limit"),
        (anthropic, {"limit": "1" * 5000}, "limit"),
        (anthropic, {"after_id": "z"}, "after_id"),
        (anthropic, {"before_id": ""}, "before_id"),
        (gemini, {"pageSize": "1.5"}, "pageSize"),
        (gemini, {"pageToken": "z"}, "pageToken"),
    ],
)
def test_what_leads_to_no_page_is_named(pages: Any, asked: dict[str, str], param: str) -> None:
    with pytest.raises(BadRequest) as caught:
        pages(GEMINIS if pages is gemini else CLAUDES, asked)
    assert caught.value.param == param
