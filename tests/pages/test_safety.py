"""What the pages must not do: run what others wrote, obey other sites, load from elsewhere, change things on GET."""

import re
from html import escape
from typing import Any

import pytest
from django.apps import apps
from django.http import HttpResponse
from django.urls import reverse

from accounts.models import ApiKey, DailyTotal, KeyRequest, Team
from accounts.store import requests
from accounts.store.adjust import adjust
from accounts.store.keys import make_key
from tests.pages.making import House, addresses, lines_of, signed_in, spend, text_of
from tests.pages.test_who_sees_what import PAGES, address

HOSTILE = "<script>alert(1)</script>\"><img src=x onerror=alert(2)>'"
LINK = "javascript:alert(3)"


@pytest.fixture
def hostile(home: House) -> House:
    """Everything that others can write says something nasty."""
    team = home.teams["red"]
    key, _ = make_key(team, HOSTILE, owner=HOSTILE, models=[HOSTILE, LINK])
    wished = {"name": HOSTILE, "purpose": HOSTILE, "models": [HOSTILE]}
    asked = home.requests["red"] = requests.submit(team, home.people["member"], **wished)  # type: ignore[arg-type]
    requests.reject(asked, home.people["ops"], comment=HOSTILE)  # type: ignore[arg-type]
    texts = ("owner", "route", "model_asked", "provider", "model", "error", "client_request_id", "key_label")
    facts: dict[str, Any] = dict.fromkeys(texts, HOSTILE[:64])
    home.keys["red"] = key
    home.records["red"] = spend("red", key_id=key.id8, tags={HOSTILE: LINK}, **facts)
    adjust(home.records["red"], author=HOSTILE, reason=HOSTILE, delta=5, external_ref=HOSTILE, cost_centre=HOSTILE[:64])
    Team.objects.filter(pk=team.pk).update(title=HOSTILE, owner=HOSTILE)
    return home


def pages_for(home: House, who: str) -> dict[str, HttpResponse]:
    client, found = home.client(who), {}
    for name, (get, _) in PAGES.items():
        if set(get) != {405} and name != "login":
            found[name] = client.get(address(home, name))
    for group in ("model", "provider", "route", "cost_centre", "key", "day"):
        found[group] = client.get(f"/reports/?group={group}")
    return found


@pytest.mark.parametrize("who", ["member", "superuser"])
def test_it_shows_what_others_wrote_as_text(hostile: House, who: str) -> None:
    for name, response in pages_for(hostile, who).items():
        if not response["Content-Type"].startswith("text/html"):
            continue
        page = text_of(response)
        for piece in ("<script>alert", "<img src=x", "javascript:alert"):
            bare = page.replace(escape(LINK), "") if piece == "javascript:alert" else page
            assert piece not in bare, (name, piece)
        assert not re.search(r"""(href|src|action)=["']?javascript""", page), name
        # The data of the chart is JSON in which nothing can end the element.
        for block in re.findall(r'<script id="chart-data"[^>]*>(.*?)</script>', page, re.DOTALL):
            assert "<" not in block
            assert ">" not in block


def test_it_puts_nothing_on_the_page_that_the_policy_would_stop(hostile: House) -> None:
    for name, response in pages_for(hostile, "superuser").items():
        if response["Content-Type"].startswith("text/html"):
            page = text_of(response)
            assert not re.search(r"<script(?![^>]*\bsrc=)(?![^>]*application/json)", page), name
            assert not re.search(r"\son\w+\s*=\s*[\"']", page.replace(escape(HOSTILE), "")), name
            assert " style=" not in page, name


def test_it_loads_nothing_from_elsewhere(hostile: House) -> None:
    client = signed_in(None)
    pages = {**pages_for(hostile, "superuser"), "sign-in": client.get("/login/"), "missing": client.get("/keys/x/y/")}
    for name, response in pages.items():
        if not response["Content-Type"].startswith("text/html"):
            continue
        for each in addresses(text_of(response)):
            assert each.startswith(("/", "?", "#")), (name, each)
            assert not each.startswith("//"), (name, each)


def test_it_sends_the_headers_that_keep_pages_apart(home: House) -> None:
    response = home.client("member").get("/keys/")
    assert response["X-Frame-Options"] == "DENY"
    assert response["X-Content-Type-Options"] == "nosniff"
    assert "default-src 'self'" in response["Content-Security-Policy"]
    assert "unsafe" not in response["Content-Security-Policy"]
    assert "no-store" in response["Cache-Control"]
    assert "private" in response["Cache-Control"]


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1"])
def test_it_writes_no_formulas_into_csv(home: House, cell: str) -> None:
    spend("red", model=cell, route=cell, owner=cell, error=cell, key_label=cell, client_request_id=cell)
    client = home.client("finance")
    for path in ("/reports/records.csv", "/reports/costs.csv?group=model", "/reports/costs.csv?group=route"):
        response = client.get(path)
        assert response["Content-Type"] == "text/csv; charset=utf-8"
        assert response["Content-Disposition"].startswith("attachment")
        for line in lines_of(response):
            for name, value in line.items():
                if not name.endswith("_usd"):  # amounts may begin with a minus: they are numbers
                    assert not value.startswith(("=", "+", "-", "@", "\t", "\r", "\n")), (path, name)


def everything() -> dict[str, list[Any]]:
    kept = (model for model in apps.get_models() if model.__name__ not in {"Session", "User", "LogEntry"})
    return {model.__name__: list(model._default_manager.order_by("pk").values()) for model in kept}


def test_it_changes_nothing_on_get(home: House) -> None:
    client, before = home.client("superuser"), everything()
    for name in PAGES:
        response = client.get(address(home, name), {"confirm": "1", "comment": "x", "models": "x"})
        text_of(response)
    assert everything() == before


@pytest.mark.parametrize(
    "name", [name for name, (_, post) in PAGES.items() if post and set(post) != {405}] + ["logout"]
)
def test_it_obeys_no_other_site(home: House, name: str) -> None:
    for who in ("member", "ops"):
        client = signed_in(home.people[who], enforce_csrf_checks=True)
        before = everything()
        response = client.post(address(home, name), {"models": "stub", "comment": "x"})
        assert response.status_code == 403
        assert "no longer valid" in response.content.decode()
        assert everything() == before
    assert client.get("/keys/").status_code == 200


def test_it_ignores_where_a_stranger_wants_people_to_land(home: House, settings: Any) -> None:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    user = home.people["member"]
    assert user is not None
    user.set_password("correct horse")
    user.save()
    for target in ("//evil.example/", "https://evil.example/", "javascript:alert(1)", "/\\evil.example"):
        client = signed_in(None)
        client.cookies["sessionid"] = "planted"
        typed = {"username": "member", "password": "correct horse", "next": target}
        response = client.post(f"/login/?next={target}", typed)
        assert (response.status_code, response["Location"]) == (302, "/keys/")
        assert client.cookies["sessionid"].value != "planted"
    session = client.cookies["sessionid"].value
    assert client.post("/logout/").status_code == 302
    client.cookies["sessionid"] = session
    assert client.get("/keys/").status_code == 302


def test_it_refuses_filters_that_make_no_sense(home: House) -> None:
    client = home.client("finance")
    for query in (
        "month=x",
        "month=2026-13",
        "month=99999-01",
        "from=x",
        "from=2026-02-02&to=2026-02-01",
        "from=0001-01-01&to=9999-12-31",
        "group=secret",
        "team=a%00b",
        f"team={'x' * 500}",
    ):
        for path in ("/reports/", "/reports/costs.csv", "/reports/records/", "/reports/records.csv"):
            assert client.get(f"{path}?{query}").status_code == 400, (path, query)
    for after in ("x", "1-", "-", "99999999999999999999-x", "١٢-x", f"1-{'%00'}"):
        assert client.get(f"/reports/records/?after={after}").status_code == 400, after
    for odd in ("month=0001-01", "month=9999-12", "from=0001-01-01&to=0001-01-02", "to=9999-12-31&from=9999-12-30"):
        for path in ("/reports/", "/reports/records/"):
            assert client.get(f"{path}?{odd}").status_code in (200, 400), (path, odd)


def test_it_needs_nothing_but_the_rows_it_knows(home: House) -> None:
    """A team, a key and a provider may be gone: their names stand on the totals."""
    DailyTotal.objects.filter(team="blue").update(team="gone", key_id="gone0000", provider="", model="")
    ApiKey.objects.filter(team__name="blue").delete()
    KeyRequest.objects.filter(team__name="blue").delete()
    Team.objects.filter(name="blue").delete()
    for group in ("team", "key", "provider", "model"):
        page = home.client("finance").get(reverse("reports:costs"), {"group": group}).content.decode()
        assert "gone" in page or "(none)" in page
    assert "Nothing was called" not in home.client("finance").get("/reports/?provider=(none)").content.decode()
