"""YAML in the admin: out without secrets, in only as it was shown, and never more than the person may do."""

from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from routing import store
from routing.models import Provider, Revision, Route
from tests.admin import rows

pytestmark = pytest.mark.django_db
IMPORT = "/admin/routing/revision/import/"
MOCK = "providers: [{name: mock, kind: openai-compatible, base_url: 'https://llm.example.com/v1'}]"
NEW = "routes: [{name: new, targets: [{provider: mock, model: m}]}]"


@pytest.fixture
def olga() -> Client:
    rows.route("gpt-4o", rows.provider(credential="sk-stored-credential"))
    store.publish("setup")
    return rows.signed_in(rows.person("olga", "ops"))


def show(client: Client, text: str, **values: Any) -> Any:
    return client.post(IMPORT, {"text": text, **values})


def take(client: Client, shown: Any) -> str:
    return client.post(IMPORT, {"apply": shown.context["apply"]}, follow=True).content.decode()


def names() -> set[str]:
    return set(Route.objects.values_list("name", flat=True))


def test_it_shows_what_changes_and_then_does_exactly_that(olga: Client) -> None:
    shown = show(olga, NEW, note="A new one")
    page = shown.content.decode()
    assert "route <strong>new</strong>" in page and "mock/m has no price" in page
    assert names() == {"gpt-4o"}
    assert "Live in every process within a second" in take(olga, shown)
    latest = store.latest()
    assert names() == {"gpt-4o", "new"} and latest is not None and latest.note == "A new one"


def test_it_takes_a_file_and_removes_the_rest_when_told(olga: Client) -> None:
    file = SimpleUploadedFile("routes.yaml", f"{NEW}\n{MOCK}".encode())
    shown = olga.post(IMPORT, {"file": file, "replace": "on"})
    assert "removed" in shown.content.decode()
    take(olga, shown)
    assert names() == {"new"}


def test_it_asks_again_when_the_table_changed_meanwhile(olga: Client) -> None:
    shown = show(olga, NEW)
    Route.objects.create(name="theirs")
    store.save("otto")
    again = olga.post(IMPORT, {"apply": shown.context["apply"]})
    assert "Somebody changed the routing table since" in again.content.decode()
    assert "new" not in names()
    take(olga, again)
    assert names() == {"gpt-4o", "new", "theirs"}


def test_it_takes_nothing_that_it_did_not_show_to_this_person(olga: Client) -> None:
    shown = show(olga, NEW).context["apply"]
    otto = rows.signed_in(rows.person("otto", "ops"))
    assert otto.post(IMPORT, {"apply": shown}).status_code == 403
    assert olga.post(IMPORT, {"apply": shown[:-2] + "xx"}).status_code == 403
    vera = rows.signed_in(rows.person("vera", "viewer"))
    assert vera.get(IMPORT).status_code == 403
    assert names() == {"gpt-4o"}


def test_it_keeps_a_draft_in_review_mode(olga: Client, settings: Any) -> None:
    settings.ROUTING_REVIEW = True
    assert "1 unpublished change" in take(olga, show(olga, NEW))
    assert (Revision.objects.count(), store.editors()) == (1, ["olga"])


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("nonsense", "not a mapping"),
        ("routes: [{name: a, targets: [{provider: gone}]}]", "no provider is called &#x27;gone&#x27;"),
        ("providers: [{name: mock, kind: openai, credential: sk-in-the-clear}]", "credential in the clear"),
        ("routes: [{name: a, description: '${PATH}'}]", "PATH is not set"),
        ("providers: [{name: new, kind: openai, credential: '${PATH}'}]", "only a superuser may name a variable"),
        ("providers: [{name: new, kind: openai, allow_private: on}]", "only a superuser may change allow private"),
        (
            "providers: [{name: mock, kind: openai-compatible, base_url: 'https://elsewhere.example.com/v1'}]",
            "its credential belongs to the old address",
        ),
        ("providers: [{name: new, kind: openai-compatible, base_url: 'http://127.0.0.1/v1'}]", "private address"),
    ],
)
def test_it_refuses_with_a_sentence(olga: Client, text: str, why: str) -> None:
    page = show(olga, text).content.decode()
    assert why in page
    assert "sk-in-the-clear" not in page.replace("credential: sk-in-the-clear", "")
    assert (names(), Provider.objects.count(), Revision.objects.count()) == ({"gpt-4o"}, 1, 1)


def test_a_superuser_may_name_variables(olga: Client) -> None:
    root = rows.signed_in(rows.root())
    take(root, show(root, "providers: [{name: new, kind: openai, credential: '${SOME_KEY}'}]"))
    assert Provider.objects.get(name="new").credential_env == "SOME_KEY"


def test_it_exports_any_state_without_secrets(olga: Client) -> None:
    Route.objects.create(name="drafted")
    serving, draft = (
        olga.get(reverse("admin:routing_revision_export"), {"state": each}) for each in ("serving", "draft")
    )
    assert serving.headers["content-disposition"] == 'attachment; filename="routes-serving.yaml"'
    assert "gpt-4o" in serving.content.decode() and "drafted" not in serving.content.decode()
    assert "drafted" in draft.content.decode() and "sk-stored" not in draft.content.decode()
    assert olga.get(reverse("admin:routing_revision_export"), {"state": "x\r\ny"}).status_code == 302
    assert rows.signed_in(rows.person("nora")).get(reverse("admin:routing_revision_export")).status_code == 403
    assert "Nothing: the table says this already" in show(olga, draft.content.decode()).content.decode()
