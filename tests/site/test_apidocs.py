"""/openapi.yaml, /docs and /redoc: open to everybody, and without a word to anybody else."""

import re
from pathlib import Path

import pytest
from django.test import Client
from django.urls import reverse

from qlite_site.apidocs import DESCRIPTION

STATIC = Path(__file__).parent.parent.parent / "qlite_site" / "static" / "qlite"
PAGES = ("/docs", "/redoc")
# What the vendored files would fetch: asked for by an element or the code, not merely named as a link or a namespace.
FETCHED = ("cdn.redoc.ly", "fonts.googleapis", "fonts.gstatic", "google-analytics", "googletagmanager", "unpkg.com")


def test_the_description_needs_no_session() -> None:
    response = Client().get("/openapi.yaml")
    assert response.status_code == 200
    assert response["Content-Type"] == "application/yaml"
    assert response.content == DESCRIPTION.read_bytes()
    assert Client().head("/openapi.yaml").status_code == 200
    assert Client().post("/openapi.yaml").status_code == 405


@pytest.mark.parametrize("path", PAGES)
def test_the_pages_need_no_session_and_no_database(path: str) -> None:
    response = Client().get(path)
    assert response.status_code == 200
    assert not response.cookies
    assert Client().post(path).status_code == 405


@pytest.mark.parametrize("path", PAGES)
def test_the_pages_name_nothing_from_elsewhere(path: str) -> None:
    page = Client().get(path).content.decode()
    named = re.findall(r"""(?:src|href|data-description)=["']([^"']+)""", page)
    assert len(named) > 5
    for each in named:
        assert each.startswith("/"), each
        assert not each.startswith("//"), each
        if each.startswith("/static/qlite/"):
            assert (STATIC / each.removeprefix("/static/qlite/")).is_file()
    assert "://" not in page
    assert not re.search(r"<script(?![^>]*\bsrc=)", page)
    assert " style=" not in page


@pytest.mark.parametrize("path", PAGES)
def test_the_pages_may_only_ask_this_gateway(path: str) -> None:
    policy = dict(part.strip().partition(" ")[::2] for part in Client().get(path)["Content-Security-Policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["connect-src"] == "'self'"
    assert policy["frame-ancestors"] == "'none'"
    # Theirs alone.
    assert "unsafe" not in Client().get("/openapi.yaml")["Content-Security-Policy"]


def test_the_vendored_files_fetch_nothing_and_have_their_licences() -> None:
    files = [*STATIC.glob("vendor/swagger-ui-*"), *STATIC.glob("vendor/redoc-*"), STATIC / "api.js", STATIC / "api.css"]
    assert len(files) == 5
    for file in files:
        text = file.read_text()
        assert [name for name in FETCHED if name in text] == [], file
        assert not re.search(r"@import|url\(['\"]?(?:https?:)?//", text), file
    # Swagger UI would have the description looked over by its maker's server.
    assert "validatorUrl: null" in (STATIC / "api.js").read_text()
    for name in ("swagger-ui", "redoc"):
        assert "icense" in (STATIC / "vendor" / f"{name}.LICENSE.txt").read_text()


@pytest.mark.django_db
def test_the_start_page_leads_there() -> None:
    page = Client().get("/", headers={"accept": "text/html"}).content.decode()
    for name in ("docs", "redoc"):
        assert f'href="{reverse(name)}"' in page
