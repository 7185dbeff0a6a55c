"""What is said where nothing is, or where something failed, without asking the database."""

import pytest
from django.test import Client, RequestFactory
from django.urls import reverse
from django.views.defaults import server_error


@pytest.mark.parametrize("path", ["/chat/completions", "/models/stub", "/responses"])
def test_a_program_that_forgot_the_v1_is_told_so(path: str) -> None:
    answer = Client().post(path, "{}", content_type="application/json", headers={"accept": "*/*"})
    assert answer.status_code == 404
    error = answer.json()["error"]
    assert sorted(error) == ["code", "message", "param", "type"]
    assert (error["code"], error["type"]) == ("not_found", "invalid_request_error")
    assert "ends in /v1" in error["message"]
    assert answer["x-error-origin"] == "gateway"
    assert len(answer["x-qlite-id"]) == len(answer["x-request-id"]) == 36


def test_nothing_is_guessed_about_other_addresses() -> None:
    answer = Client().get("/nosuch", headers={"accept": "application/json"})
    assert answer.json()["error"]["message"] == "There is nothing at this address."


def test_people_get_a_page() -> None:
    for headers in ({}, {"accept": "text/html,*/*;q=0.8"}):
        assert "<h1>There is nothing here</h1>" in Client().get("/nosuch", headers=headers).content.decode()


def test_the_page_of_a_failure_needs_no_database_and_leads_back() -> None:
    page = server_error(RequestFactory().get("/keys/"))
    assert page.status_code == 500
    assert f'href="{reverse("portal:keys")}"' in page.content.decode()
