"""Every page against every sort of person: a page that is not in the table fails the test."""

import re
from uuid import UUID

import pytest
from django.db import transaction
from django.http import HttpResponse
from django.urls import URLPattern, URLResolver, get_resolver, reverse

from accounts.models import ApiKey, KeyRequest
from tests.pages.making import House, signed_in

PEOPLE = ("anonymous", "member", "other", "ops", "finance", "staff", "superuser")
SIGNED_IN = (302, 200, 200, 200, 200, 200, 200)
NEVER = (405,) * 7
# What belongs to team red: for its members, for who has it as work, and not there for all others.
OF_KEYS = (302, 200, 404, 200, 404, 404, 200)
OF_COSTS = (302, 200, 404, 404, 200, 404, 200)

PREFIXES = ("portal", "reports", "login", "logout", "password_change", "password_change_done")
# Page: answers to GET, answers to POST, in the order of PEOPLE.
PAGES = {
    "login": ((200, 302, 302, 302, 302, 302, 302), None),
    "logout": (NEVER, None),
    "password_change": (SIGNED_IN, None),
    "password_change_done": (SIGNED_IN, None),
    "portal:keys": (SIGNED_IN, NEVER),
    "portal:ask": (SIGNED_IN, (302, 400, 400, 400, 400, 400, 400)),
    "portal:requests": (SIGNED_IN, NEVER),
    "portal:request": (OF_KEYS, NEVER),
    "portal:approve": (NEVER, (302, 403, 404, 302, 404, 404, 302)),
    "portal:reject": (NEVER, (302, 403, 404, 400, 404, 404, 400)),
    "portal:withdraw": (NEVER, (302, 302, 404, 403, 404, 404, 403)),
    "portal:reveal": (NEVER, (302, 409, 404, 403, 404, 404, 403)),
    "portal:key": (OF_KEYS, NEVER),
    "portal:budget": ((302, 403, 404, 200, 404, 404, 200), (302, 403, 404, 302, 404, 404, 302)),
    "portal:revoke": (OF_KEYS, (302, 302, 404, 302, 404, 404, 302)),
    "reports:costs": (SIGNED_IN, NEVER),
    "reports:costs_csv": (SIGNED_IN, NEVER),
    "reports:records": (SIGNED_IN, NEVER),
    "reports:records_csv": (SIGNED_IN, NEVER),
    "reports:record": (OF_COSTS, NEVER),
}


def address(home: House, name: str, team: str = "red") -> str:
    takes = {
        "portal:key": {"id8": home.keys[team].id8},
        "portal:budget": {"id8": home.keys[team].id8},
        "portal:revoke": {"id8": home.keys[team].id8},
        "reports:record": {"pk": home.records[team].pk},
    }
    asked = ("portal:request", "portal:approve", "portal:reject", "portal:withdraw", "portal:reveal")
    takes |= {each: {"pk": home.requests[team].pk} for each in asked}
    return reverse(name, kwargs=takes.get(name))


def names(patterns: list[URLPattern | URLResolver], space: str = "") -> set[str]:
    found = set()
    for each in patterns:
        if isinstance(each, URLPattern):
            found.add(space + (each.name or str(each.pattern)))
        elif each.namespace != "admin":
            found |= names(each.url_patterns, f"{each.namespace}:" if each.namespace else space)
    return found


def test_it_knows_every_page() -> None:
    ours = {each for each in names(get_resolver().url_patterns) if each in PAGES or each.split(":")[0] in PREFIXES}
    assert ours == set(PAGES)


@pytest.mark.parametrize("who", PEOPLE)
def test_it_answers_get_to_those_who_may_look(home: House, who: str) -> None:
    place = PEOPLE.index(who)
    for name, (get, _) in PAGES.items():
        assert home.client(who).get(address(home, name)).status_code == get[place], name


@pytest.mark.parametrize("who", PEOPLE)
def test_it_takes_post_from_those_who_may_act(home: House, who: str) -> None:
    for name, (_, post) in PAGES.items():
        if post is None:
            continue
        with transaction.atomic():
            response = home.client(who).post(address(home, name), {"models": "stub"})
            transaction.set_rollback(True)  # each page finds the same house
        assert response.status_code == post[PEOPLE.index(who)], name
        if who == "anonymous" and response.status_code == 302:
            assert response["Location"].startswith("/login/?next=/")


@pytest.mark.parametrize("who", ["anonymous", "other", "finance", "staff"])
def test_it_changes_nothing_of_red_for_those_who_may_not(home: House, who: str) -> None:
    before = (list(KeyRequest.objects.values()), list(ApiKey.objects.values()))
    for name, (_, post) in PAGES.items():
        if post:
            home.client(who).post(address(home, name), {"models": "stub", "comment": "no"})
    assert (list(KeyRequest.objects.values()), list(ApiKey.objects.values())) == before


def test_it_says_the_same_of_what_is_not_there_and_of_what_is_not_yours(home: House) -> None:
    client = home.client("other")
    for name in ("portal:request", "portal:key", "reports:record"):
        foreign = address(home, name)
        missing = foreign.replace(home.keys["red"].id8, "00000000").replace(home.records["red"].pk, str(UUID(int=0)))
        missing = missing.replace(f"/{home.requests['red'].pk}/", "/999999/")
        assert missing != foreign
        there, gone = client.get(foreign), client.get(missing)
        assert (there.status_code, without_token(there)) == (gone.status_code, without_token(gone))


def without_token(response: HttpResponse) -> bytes:
    return re.sub(rb'name="csrfmiddlewaretoken" value="[^"]+"', b"", response.content)


def test_it_is_not_upset_by_ids_that_cannot_be(home: House) -> None:
    client = home.client("superuser")
    for path in (
        "/keys/requests/99999999999999999999999/",
        "/keys/key/%00/",
        "/keys/key/x/",
        "/reports/records/%00/",
        "/reports/records/1/",
        f"/reports/records/{home.records['red'].pk.upper()}/",
    ):
        assert client.get(path).status_code == 404, path


def test_it_shows_teams_their_own_money_only(home: House) -> None:
    page = home.client("member").get("/reports/").content.decode()
    assert "red" in page
    assert "blue" not in page
    # Naming another team, its key or cost centre gives nothing, the same as a name that does not exist.
    for query in ("team=blue", "cost_centre=cc-blue", f"key={home.keys['blue'].id8}", "team=nobody"):
        page = home.client("member").get(f"/reports/?{query}").content.decode()
        assert "Nothing was called" in page, query
        assert "blue key" not in page


def test_it_shows_finance_no_keys_and_ops_no_foreign_costs(home: House) -> None:
    assert home.keys["red"].id8 not in home.client("finance").get("/keys/").content.decode()
    assert "You are in no team yet" in home.client("ops").get("/reports/").content.decode()
    everything = home.client("finance").get("/reports/").content.decode()
    assert "red" in everything
    assert "blue" in everything


def test_it_ends_when_the_person_does(home: House) -> None:
    client = home.client("member")
    user = home.people["member"]
    assert user is not None
    user.is_active = False
    user.save()
    assert client.get("/keys/").status_code == 302


def test_it_sends_those_signed_out_to_the_sign_in_also_when_htmx_asks(home: House) -> None:
    response = signed_in(None).get("/reports/", headers={"HX-Request": "true"})
    assert response["HX-Refresh"] == "true"
    assert b"red" not in response.content
