"""From the wish for a key to a key in use, as the people at the pages live it."""

import html
import re
import shlex
from datetime import timedelta
from typing import Any

from django.test import Client, override_settings
from django.utils import timezone

from accounts.keys import admit, well_formed
from accounts.models import ApiKey, KeyRequest
from accounts.store.keys import load_keys
from tests.pages.making import House, person, spend

WISH = {
    "name": "search",
    "purpose": "rewrites queries",
    "other": "gpt-*\nstub, o3",
    "budget": "$1,250.50",
    "expires": "",
}


def wish(home: House, **changes: Any) -> KeyRequest:
    form = {**WISH, "team": home.teams["red"].pk, **changes}
    response = home.client("member").post("/keys/request/", form)
    assert response.status_code == 302, response.content.decode()
    return KeyRequest.objects.latest("pk")


def approve(home: House, made: KeyRequest, **changes: Any) -> Any:
    form = {"models": "gpt-4o\nstub", "budget": "100", "expires": "", "comment": "start small", **changes}
    return home.client("ops").post(f"/keys/requests/{made.pk}/approve/", form)


def secret_on(page: str) -> str:
    found = re.search(r'id="secret">([^<]+)<', page)
    assert found
    return html.unescape(found[1])


def test_it_goes_from_a_wish_to_a_key_in_the_list(home: House) -> None:
    member, made = home.client("member"), wish(home)
    assert (made.state, made.models, made.monthly_budget_nano) == (
        "pending",
        ["gpt-*", "stub", "o3"],
        1_250_500_000_000,
    )
    assert "search" in home.client("ops").get("/keys/requests/").content.decode()

    assert approve(home, made).status_code == 302
    page = member.get(f"/keys/requests/{made.pk}/").content.decode()
    assert "start small" in page
    assert "Reveal the key" in page

    response = member.post(f"/keys/requests/{made.pk}/reveal/")
    secret = secret_on(response.content.decode())
    assert well_formed(secret)
    assert "no-store" in response["Cache-Control"]
    grant = admit(load_keys(), secret, now=timezone.now().timestamp())
    assert (grant.team, grant.models) == ("red", ("gpt-4o", "stub"))

    listed = member.get("/keys/").content.decode()
    assert "search" in listed
    assert secret not in listed
    assert "revealed" in member.get("/keys/requests/").content.decode()


def test_it_shows_the_secret_once(home: House) -> None:
    member, made = home.client("member"), wish(home)
    approve(home, made)
    secret = secret_on(member.post(f"/keys/requests/{made.pk}/reveal/").content.decode())
    again = member.post(f"/keys/requests/{made.pk}/reveal/")
    assert again.status_code == 409
    assert ApiKey.objects.filter(label="search").count() == 1
    key = ApiKey.objects.get(label="search")
    for path in ("/keys/", f"/keys/requests/{made.pk}/", f"/keys/key/{key.id8}/", "/keys/requests/"):
        assert secret not in member.get(path).content.decode()


@override_settings(PUBLIC_URL="https://llm.example")
def test_it_gives_a_curl_line_that_a_shell_understands(home: House) -> None:
    made = wish(home)
    approve(home, made, models="it's-mine")  # not within what was asked
    approve(home, made)
    page = home.client("member").post(f"/keys/requests/{made.pk}/reveal/").content.decode()
    shown = re.search(r'id="curl">(.*?)</pre>', page, re.DOTALL)
    assert shown
    words = shlex.split(html.unescape(shown[1]))
    assert words[:2] == ["curl", "https://llm.example/v1/chat/completions"]
    assert f"Authorization: Bearer {secret_on(page)}" in words
    assert '"model": "gpt-4o"' in words[-1]


def test_it_lets_nobody_decide_on_their_own(home: House) -> None:
    ops = home.people["ops"]
    assert ops is not None
    ops.memberships.create(team=home.teams["red"])
    client = home.client("ops")
    client.post("/keys/request/", {**WISH, "team": home.teams["red"].pk})
    own = KeyRequest.objects.latest("pk")
    assert own.requester == ops
    assert client.post(f"/keys/requests/{own.pk}/approve/", {"models": "stub"}).status_code == 403
    assert client.post(f"/keys/requests/{own.pk}/reject/", {"comment": "no"}).status_code == 403
    assert "Your decision" not in client.get(f"/keys/requests/{own.pk}/").content.decode()
    own.refresh_from_db()
    assert own.state == "pending"


def test_it_grants_no_more_than_was_asked(home: House) -> None:
    soon = timezone.localdate() + timedelta(days=10)
    made = wish(home, expires=soon.isoformat())
    for more in (
        {"models": "claude"},
        {"models": ""},
        {"models": "*"},
        {"budget": "1250.51"},
        {"budget": ""},
        {"expires": ""},
        {"expires": (soon + timedelta(days=1)).isoformat()},
    ):
        response = approve(home, made, **{"expires": soon.isoformat(), **more})
        assert response.status_code == 400, more
        assert b"errorlist" in response.content
    made.refresh_from_db()
    assert made.state == "pending"


def test_it_grants_the_day_that_was_asked_whatever_the_hour(home: House) -> None:
    made = wish(home)
    KeyRequest.objects.filter(pk=made.pk).update(expires_at=timezone.now() + timedelta(days=5))
    made.refresh_from_db()
    assert made.expires_at is not None
    day = timezone.localdate(made.expires_at).isoformat()
    assert approve(home, made, expires=day).status_code == 302
    asked = made.expires_at
    made.refresh_from_db()
    assert made.granted_expires_at == asked


def test_it_decides_once(home: House) -> None:
    made = wish(home)
    refused = home.client("ops").post(f"/keys/requests/{made.pk}/reject/", {"comment": "say more"})
    assert refused.status_code == 302
    response = approve(home, made)
    assert response.status_code == 409
    assert b"rejected already" in response.content
    assert home.client("ops").post(f"/keys/requests/{made.pk}/reject/", {"comment": "x"}).status_code == 409
    assert home.client("member").post(f"/keys/requests/{made.pk}/reveal/").status_code == 409
    made.refresh_from_db()
    assert (made.state, made.comment) == ("rejected", "say more")


def test_it_takes_a_request_back(home: House) -> None:
    made = wish(home)
    approve(home, made)
    assert home.client("member").post(f"/keys/requests/{made.pk}/withdraw/").status_code == 302
    assert home.client("member").post(f"/keys/requests/{made.pk}/reveal/").status_code == 409
    assert not ApiKey.objects.filter(label="search").exists()


def test_it_ignores_what_the_form_does_not_ask_for(home: House) -> None:
    blue, ops = home.teams["blue"], home.people["ops"]
    assert ops is not None
    forged = {
        "state": "approved",
        "requester": ops.pk,
        "decided_by": ops.pk,
        "granted_models": "*",
        "granted_budget_nano": "999",
        "granted_expires_at": "2099-01-01",
        "monthly_budget_nano": "999",
        "models": "everything",
        "expires_at": "2099-01-01",
        "key": home.keys["blue"].pk,
        "is_staff": "on",
        "is_superuser": "on",
        "id": "1",
        "comment": "approved by me",
        "rate_limit": "0",
    }
    made = wish(home, **forged)
    assert (made.state, made.requester, made.key, made.decided_by) == ("pending", home.people["member"], None, None)
    assert (made.granted_models, made.granted_budget_nano, made.comment) == ([], None, "")
    assert (made.models, made.expires_at) == (["gpt-*", "stub", "o3"], None)
    member = home.people["member"]
    assert member is not None
    member.refresh_from_db()
    assert not member.is_staff
    other_team = home.client("member").post("/keys/request/", {**WISH, "team": blue.pk})
    assert other_team.status_code == 400
    assert KeyRequest.objects.filter(team=blue).count() == 1


def test_it_says_what_is_wrong_with_a_wish(home: House) -> None:
    client = home.client("member")
    yesterday = timezone.localdate() - timedelta(days=1)
    for wrong in (
        {"name": ""},
        {"purpose": ""},
        {"name": "x" * 201},
        {"name": "a\0b"},
        {"other": "a*b*"},
        {"other": "x" * 201},
        {"known": "not-a-route"},
        {"budget": "0"},
        {"budget": "-5"},
        {"budget": "much"},
        {"budget": "1e99"},
        {"budget": "0.0000000001"},
        {"expires": yesterday.isoformat()},
        {"expires": "soon"},
        {"team": "99999999999999999999"},
    ):
        response = client.post("/keys/request/", {**WISH, "team": home.teams["red"].pk, **wrong})
        assert response.status_code == 400, wrong
        assert b"errorlist" in response.content, wrong
    assert KeyRequest.objects.count() == 2


def test_it_keeps_the_last_day_to_its_end(home: House) -> None:
    today = timezone.localdate()
    made = wish(home, expires=today.isoformat())
    assert made.expires_at is not None
    assert timezone.localtime(made.expires_at).date() == today
    assert made.expires_at > timezone.now()


def test_it_revokes_a_key_once_asked_twice(home: House) -> None:
    key, client = home.keys["red"], home.client("member")
    assert client.get(f"/keys/key/{key.id8}/revoke/").status_code == 200
    key.refresh_from_db()
    assert not key.disabled
    assert client.post(f"/keys/key/{key.id8}/revoke/").status_code == 302
    key.refresh_from_db()
    assert (key.disabled, key.disabled_by) == (True, "member")
    assert load_keys()[key.digest].disabled
    assert "revoked" in client.get("/keys/").content.decode()


def test_it_adds_up_what_a_key_cost_this_month(home: House) -> None:
    key = home.keys["red"]
    first = timezone.localtime().replace(day=1, hour=0, minute=0, second=0)
    spend("red", key_id=key.id8, cost=5, at=first)
    spend("red", key_id=key.id8, cost=10**12, at=first - timedelta(seconds=1))
    page = home.client("member").get("/keys/").content.decode()
    plain = re.sub(r"<[^>]+>", "", page)
    assert "$0.001234572" in plain
    assert "1,000" not in plain


def test_it_tells_people_without_a_team_what_to_do(home: House) -> None:
    client = Client()
    client.force_login(person("new"))
    for path in ("/keys/", "/keys/request/", "/keys/requests/"):
        assert "You are in no team yet" in client.get(path).content.decode(), path
