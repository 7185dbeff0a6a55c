"""The admin in a real browser: what only its scripts do (dragging, adding rows), with nothing refused or fetched."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pytest_django.live_server_helper import LiveServer

from routing import store
from routing.models import Revision, Route, Target
from tests.admin import rows

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)

sync_api = pytest.importorskip("playwright.sync_api")
pytestmark = [pytest.mark.browser, pytest.mark.skipif(not CHROMIUM.exists(), reason="needs Debian's chromium")]


class Browser:
    """One page, and everything on it that should not have happened."""

    def __init__(self, page: Any, base: str) -> None:
        self.page, self.base, self.trouble = page, base, []
        page.on("console", lambda said: said.type in ("error", "warning") and self.trouble.append(said.text))
        page.on("pageerror", lambda error: self.trouble.append(str(error)))
        page.on("request", lambda asked: asked.url.startswith((base, "data:")) or self.trouble.append(asked.url))

    def open(self, path: str) -> None:
        self.page.goto(self.base + path)
        self.page.wait_for_load_state("networkidle")

    def choose(self, field: str, name: str) -> None:
        """Type into a field that offers what fits, and take what it offers."""
        self.page.click(f"#id_{field} + .select2-container")
        self.page.fill(".select2-search__field", name)
        self.page.click(f".select2-results__option[role=option]:text-is('{name}')")

    def sign_in(self, name: str) -> None:
        self.open("/admin/")
        self.page.fill("#id_username", name)
        self.page.fill("#id_password", "correct horse")
        self.page.click("button[type=submit]")
        self.page.wait_for_url("**/admin/")


@pytest.fixture
def route(transactional_db: None) -> Route:
    rows.person("olga", "ops", password="correct horse")
    rows.team()
    made = rows.route("gpt-4o", rows.provider("one"), rows.provider("two"))
    store.publish("root", "Before")
    return made


@contextmanager
def browsing(base: str, name: str = "olga") -> Iterator[Browser]:
    """Sign in and browse; fails on trouble. The database cannot be asked meanwhile, only before and after."""
    with sync_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=str(CHROMIUM), args=list(FLAGS))
        browser = Browser(chromium.new_page(viewport={"width": 1400, "height": 1400}), base)
        browser.sign_in(name)
        yield browser
        chromium.close()
    assert browser.trouble == []


def test_it_drags_adds_publishes_and_undoes(route: Route, live_server: LiveServer) -> None:
    with browsing(live_server.url) as browser:
        page = browser.page
        browser.open(f"/admin/routing/route/{route.pk}/change/")
        handles = page.locator("#targets-data tbody.original .cursor-move")
        handles.nth(1).scroll_into_view_if_needed()
        start, end = handles.nth(1).bounding_box(), handles.nth(0).bounding_box()
        page.mouse.move(start["x"] + 8, start["y"] + 8)
        page.mouse.down()
        page.mouse.move(end["x"] + 8, end["y"] - 8, steps=12)
        page.mouse.up()
        page.click("text=Add another")
        browser.choose("targets-2-provider", "two")
        page.fill("#id_targets-2-model", "spare")
        page.fill("#id_targets-2-tier", "1")
        page.click("button[name=_continue]")
        page.click("text=Live in every process within a second >> a")
        page.click("text=Undo: restore revision")
        page.wait_for_load_state("networkidle")
        shown = page.inner_text("#content")
        page.click("button:has-text('Restore revision')")
        page.wait_for_load_state("networkidle")
    assert "removed target two/spare" in shown
    (edited,) = Revision.objects.order_by("number")[1].document["routes"]
    targets = [(each["provider"], each["model"]) for each in edited["targets"]]
    assert targets == [("two", ""), ("one", ""), ("two", "spare")]
    assert [str(each) for each in Target.objects.order_by("position")] == ["one/gpt-4o", "two/gpt-4o"]


def test_two_people_keep_both_changes(route: Route, live_server: LiveServer) -> None:
    rows.person("otto", "ops", password="correct horse")
    form = f"/admin/routing/route/{route.pk}/change/"
    with browsing(live_server.url) as olga:
        olga.open(form)
        otto = Browser(olga.page.context.browser.new_context().new_page(), live_server.url)
        otto.sign_in("otto")
        otto.open(form)
        otto.page.fill("#id_targets-1-weight", "7")
        otto.page.fill("#id_why", "Two is bigger now")
        otto.page.click("button[name=_continue]")
        otto.page.wait_for_selector("text=Live in every process within a second")
        olga.page.fill("#id_cache_ttl", "60")
        olga.page.click("button[name=_continue]")
        shown = olga.page.inner_text("#content")
        olga.page.click("text=Save yours on top of theirs")
        olga.page.wait_for_selector("text=Live in every process within a second")
        assert [said for said in olga.trouble if "409" not in said] == otto.trouble == []
        olga.trouble.clear()
    assert "Nothing was saved" in shown and "The last edit is by otto" in shown and "Two is bigger now" in shown
    route.refresh_from_db()
    assert route.cache_ttl == 60
    assert [each.weight for each in route.targets.order_by("position")] == [1, 7]


def test_it_shows_a_key_once_in_the_browser_too(route: Route, live_server: LiveServer) -> None:
    with browsing(live_server.url) as browser:
        page = browser.page
        browser.open("/admin/accounts/apikey/add/")
        page.select_option("#id_team", label="search")
        page.fill("#id_label", "crawler")
        page.click("button[name=_save]")
        secret = page.inner_text("#secret")
        page.click("text=I have copied it")
        page.wait_for_load_state("networkidle")
        after = page.content()
        with pytest.raises(sync_api.Error, match="ERR_CACHE_MISS"):  # the browser has kept nothing of that page
            page.go_back()
    assert secret.startswith("sk-ql_")
    assert secret not in after
