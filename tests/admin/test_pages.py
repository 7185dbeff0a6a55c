"""Every page of the admin opens, with rows in it, from this host alone and with hostile text inert."""

import re

import pytest
from django.contrib.admin import site
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from routing import store
from tests.admin import rows
from tests.admin.forms import Fields

pytestmark = pytest.mark.django_db
OUTSIDE = re.compile(
    r"""(?:src|href|action|srcset|poster)\s*=\s*["']?\s*(?:https?:)?//|url\(\s*["']?(?:https?:)?//|@import"""
)


def signed_in(user: User | None = None) -> Client:
    return rows.signed_in(user or rows.root())


def addresses(text: str) -> list[str]:
    """Of the lists of all models, and of the pages of one row of each."""
    made = rows.one_of_everything(text)
    made["routing_revision"] = store.publish("root", text)
    lists = [f"{model._meta.app_label}_{model._meta.model_name}" for model in site._registry]
    found = [reverse("admin:index"), *(reverse(f"admin:{name}_changelist") for name in lists)]
    for name, row in made.items():
        found.append(reverse(f"admin:{name}_change", args=[row.pk]))
        found.append(reverse(f"admin:{name}_history", args=[row.pk]))
    return found


def adding() -> list[str]:
    names = ("routing_provider", "routing_route", "accounts_team", "accounts_apikey", "accounts_price", "auth_user")
    return [reverse(f"admin:{name}_add") for name in names]


def test_it_opens_every_page_with_rows_in_it_and_nothing_from_another_host() -> None:
    client = signed_in()
    for address in [*addresses("plain"), *adding()]:
        page = client.get(address)
        assert page.status_code == 200, address
        found = OUTSIDE.search(page.content.decode())
        assert found is None, (address, found and found.group())


def test_it_spells_names_as_they_are_and_begins_its_own_words_with_a_capital() -> None:
    route = rows.one_of_everything("plain")["routing_route"]
    head = re.findall(r"truncate tracking-tight\">\s*(.*?)\s*</", route_page(route.pk))
    assert head == ["Routing", "Routes", route.name]
    assert route.name.islower()


def route_page(pk: int) -> str:
    return signed_in().get(reverse("admin:routing_route_change", args=[pk])).content.decode()


def test_every_form_takes_back_what_it_showed() -> None:
    client = signed_in()
    for address in [*addresses("plain"), *adding()]:
        page = client.get(address).content.decode()
        if 'name="_save"' in page:
            sent = client.post(address, Fields(page).sent | {"_save": "Save"})
            assert sent.status_code in {200, 302}, address
            assert sent.status_code == 302 or "Please correct the error" in sent.content.decode(), address


def test_it_shows_hostile_text_as_text() -> None:
    client = signed_in()
    for address in addresses(rows.HOSTILE):
        page = client.get(address).content.decode()
        assert "<script>alert" not in page, address
        assert "<img src=x" not in page, address
        assert "49" not in re.findall(r"onerror=alert\(2\)&gt;(.{0,8})", page), address
        assert "Content-Security-Policy" in client.get(address).headers


def test_it_has_no_page_for_strangers_and_none_for_people_without_a_role() -> None:
    made = addresses("plain")
    nobody, outsider = signed_in(rows.person("nobody")), signed_in(rows.person("outsider", staff=False))
    for address in made:
        assert Client().get(address).status_code == 302, address
        assert outsider.get(address).status_code == 302, address
        if address != reverse("admin:index"):
            assert nobody.get(address).status_code == 403, address


@pytest.mark.parametrize("term", ["%", "_" * 1000, "\\" * 1000, "%" * 1000, "ab", "\x00\x00\x00", "100%_\\'\""])
def test_it_takes_any_search(term: str) -> None:
    rows.one_of_everything()
    client = signed_in()
    for model in site._registry:
        address = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
        assert client.get(address, {"q": term}).status_code == 200, (address, term)


def test_it_does_not_take_percent_for_anything() -> None:
    rows.team("percent", title="50%_off")
    rows.team("other", title="fifty off")
    page = signed_in().get(reverse("admin:accounts_team_changelist"), {"q": "0%_"}).content.decode()
    assert "percent" in page
    assert "fifty off" not in page


def test_it_lists_the_fields_of_every_form() -> None:
    for model, admin in site._registry.items():
        assert not admin.list_editable, model
        meta = getattr(admin.form, "Meta", None)
        assert getattr(meta, "fields", None) != "__all__" or model._meta.app_label == "auth", model


def test_it_needs_no_inline_script_and_allows_none() -> None:
    client = signed_in()
    for address in [*addresses("plain"), *adding()]:
        answer = client.get(address)
        page = answer.content.decode()
        scripts = re.findall(r"<script(?![^>]*\bsrc=)([^>]*)>", page)
        assert all("application/json" in attributes for attributes in scripts), (address, scripts)
        assert not re.search(r"<[a-z][^>]*\son[a-z]+\s*=", page), address
        policy = answer.headers["Content-Security-Policy"]
        assert "script-src 'self' 'unsafe-eval';" in policy
        assert (answer.headers["X-Frame-Options"], answer.headers["X-Content-Type-Options"]) == ("DENY", "nosniff")


@pytest.mark.parametrize("person", ["root", "viewer"])
def test_an_empty_list_says_what_to_do(person: str) -> None:
    client = signed_in(rows.root() if person == "root" else rows.person("vera", "viewer"))
    for model in site._registry:
        page = client.get(reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist"))
        text = page.content.decode()
        assert "yielded into no results" not in text
        if page.status_code == 200 and page.context["cl"].result_count == 0:
            assert f"No {model._meta.verbose_name_plural} yet" in text
            offered = "ql-button" in text.partition('class="ql-empty"')[2]
            assert offered == page.context["has_add_permission"], model


def test_a_search_without_a_match_leads_back_to_all_rows() -> None:
    rows.team("search")
    text = signed_in().get(reverse("admin:accounts_team_changelist"), {"q": "nobody"}).content.decode()
    assert "Nothing matches" in text
    assert "Show all teams" in text


def test_it_tells_people_without_access_whose_account_has_none() -> None:
    rows.person("mia", staff=False)
    client = signed_in(User.objects.get(username="mia"))
    page = client.get(reverse("admin:index"), follow=True).content.decode()
    assert "You are signed in as mia, an account that may not use the admin." in page
    assert reverse("portal:keys") in page
    assert "You are signed in" not in Client().get(reverse("admin:login")).content.decode()


def test_an_address_with_an_unknown_filter_gets_a_page_of_ours() -> None:
    page = signed_in().get(reverse("admin:accounts_requestrecord_changelist"), {"owner": "ann"})
    assert page.status_code == 400
    assert "That address cannot be understood" in page.content.decode()


def test_each_field_of_a_row_in_a_table_has_a_name() -> None:
    made = rows.route("gpt", rows.provider())
    page = signed_in().get(reverse("admin:routing_route_change", args=[made.pk])).content.decode()
    fields = re.findall(r"<(?:input|select)[^>]* name=\"targets-0-(?:model|tier|weight|enabled|provider)\"[^>]*>", page)
    assert len(fields) == 5
    assert all("aria-label=" in field for field in fields)


def test_the_sidebar_marks_the_one_page_that_is_open() -> None:
    client = signed_in()
    for name in ("accounts_price_changelist", "accounts_price_waiting", "accounts_price_lists", "accounts_price_add"):
        page = client.get(reverse(f"admin:{name}")).content.decode()
        marked = re.findall(r'<a href="([^"]+)"[^>]* active">', page)
        assert marked == [reverse(f"admin:{name}".replace("_add", "_changelist"))], name


@pytest.mark.parametrize("forged", ["x", "%", "1.5", "\0", "9" * 30, "{}"])
def test_a_choice_that_the_page_does_not_offer_is_told_and_nothing_fails(forged: str) -> None:
    client = signed_in()
    made = rows.route("chat", rows.provider())
    target = made.targets.get()
    known = {"name": "chat", "targets-TOTAL_FORMS": "1", "targets-INITIAL_FORMS": "1", "targets-0-route": str(made.pk)}
    known |= {"targets-0-id": str(target.pk), "targets-0-provider": str(target.provider_id)}
    address = reverse("admin:routing_route_change", args=[made.pk])
    seen = re.search(r'name="seen" value="([^"]+)"', client.get(address).content.decode())
    assert seen is not None
    for field in ("targets-0-provider", "targets-0-id"):
        page = client.post(address, known | {"seen": seen[1], field: forged})
        assert page.status_code in {200, 302}, field
    budget = {"team": forged, "window": "month", "amount_nano": "5"}
    page = client.post(reverse("admin:accounts_budget_add"), budget)
    assert "team" in page.context["adminform"].form.errors
