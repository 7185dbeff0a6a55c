"""The page that asks a provider for its models: who may, what is shown, and the routes made from it."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from django.test import Client
from django.urls import reverse

from routing.models import Provider, Revision, Route
from tests.admin.rows import person, provider, root, signed_in

pytestmark = pytest.mark.django_db

SECRET = "sk-very-secret"


class Listed(BaseHTTPRequestHandler):
    """A provider that lists three models to whoever has the credential."""

    seen: list[tuple[str, str]] = []

    def do_GET(self) -> None:
        self.seen.append((self.path, self.headers.get("authorization", "")))
        status = 200 if self.headers.get("authorization") == f"Bearer {SECRET}" else 401
        body = {"data": [{"id": name} for name in ("m-2", "m-1", "<b>odd</b>")]} if status == 200 else {"error": SECRET}
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def address() -> Iterator[str]:
    Listed.seen = []
    server = HTTPServer(("127.0.0.1", 0), Listed)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/v1"
    server.shutdown()
    thread.join()
    server.server_close()


def saved(address: str, secret: str = SECRET) -> Provider:
    return provider(base_url=address, credential=secret, allow_private=True)


def page(client: Client, row: Provider, **sent: object) -> str:
    url = reverse("admin:routing_provider_connection", args=[row.pk])
    answer = client.post(url, sent, follow=True) if sent else client.get(url)
    assert answer.status_code == 200
    return answer.content.decode()


def test_it_says_status_and_time_and_nothing_of_the_answer(address: str) -> None:
    client = signed_in(root())
    assert "mock answered after " in page(client, saved(address), wish="test")
    assert Listed.seen == [("/v1/models", f"Bearer {SECRET}")]
    row = Provider.objects.get()
    row.credential = "sk-wrong"
    row.save()
    shown = page(client, row, wish="test")
    assert "answered with status 401" in shown
    assert SECRET not in shown


def test_it_says_that_a_provider_cannot_be_reached_without_its_address(address: str) -> None:
    row = saved("http://127.0.0.1:9/v1")
    shown = page(signed_in(root()), row, wish="test")
    assert "mock cannot be reached." in shown


def test_a_private_address_is_refused_where_it_is_not_allowed(address: str) -> None:
    row = saved(address)
    Provider.objects.update(allow_private=False)
    assert "may not be called" in page(signed_in(root()), row, wish="test")
    assert Listed.seen == []


def test_it_makes_routes_for_the_chosen_models_in_one_revision(address: str) -> None:
    row, client = saved(address), signed_in(person("oda", "ops"))
    Route.objects.create(name="m-1")
    shown = page(client, row, wish="discover")
    assert 'value="m-2"' in shown
    assert "<b>odd</b>" not in shown
    page(client, row, wish="add", model=["m-1", "m-2", "two * stars *"], naming="model")
    assert sorted(Route.objects.values_list("name", flat=True)) == ["m-1", "m-2"]
    assert [target.model for target in Route.objects.get(name="m-2").targets.all()] == [""]
    assert Revision.objects.count() == 1
    page(client, row, wish="add", model=["m-1"], naming="provider")
    assert [target.model for target in Route.objects.get(name="mock/m-1").targets.all()] == ["m-1"]


def test_it_says_under_which_name_a_model_is_served_already(address: str) -> None:
    row = saved(address)
    Provider.objects.update(by_name=True)
    assert "asked for as mock/m-2" in page(signed_in(root()), row, wish="discover")


@pytest.mark.parametrize(("name", "wish"), [("oda", "test"), ("fay", "discover"), ("fay", "add")])
def test_it_refuses_who_may_not(address: str, name: str, wish: str) -> None:
    row = saved(address)
    client = signed_in(person(name, {"oda": "ops", "fay": "finance"}[name]))
    answer = client.post(reverse("admin:routing_provider_connection", args=[row.pk]), {"wish": wish})
    assert answer.status_code == 403
    assert Listed.seen == []
