"""The whole way in a real browser against a real server: asked, approved, revealed, used, seen in the report."""

import os
import re
import shlex
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

CHROMIUM = Path("/usr/bin/chromium")
ROOT = Path(__file__).parent.parent.parent
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
SETTLED = "!document.querySelector('.htmx-request, .htmx-swapping, .htmx-settling, .htmx-added')"
PASSWORD = "correct horse battery"
FURNISH = """
from django.core.management import call_command
call_command("setup")
call_command("demo")
from django.contrib.auth.models import Group, User
from accounts.models import Membership, Team
red = Team.objects.create(name="red")
for name, group in (("mia", ""), ("oda", "ops"), ("fay", "finance")):
    user = User.objects.create_user(name, password="correct horse battery")
    user.groups.set(Group.objects.filter(name=group))
    if not group:
        Membership.objects.create(team=red, user=user)
User.objects.create_superuser("ada", password="correct horse battery")
"""

sync_api = pytest.importorskip("playwright.sync_api")
pytestmark = [pytest.mark.browser, pytest.mark.skipif(not CHROMIUM.exists(), reason="needs Debian's chromium")]


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    port = free_port()
    told = {"QLITE_DATA_DIR": str(tmp_path_factory.mktemp("data")), "PORT": str(port), "QLITE_ADMIN_PASSWORD": PASSWORD}
    dropped = ("DATABASE_URL", "OPENAI_API_KEY", "GROQ_API_KEY", "QLITE_BIND", "QLITE_PUBLIC_URL")
    environ = {name: value for name, value in os.environ.items() if name not in dropped} | told
    manage = [sys.executable, str(ROOT / "manage.py")]
    subprocess.run([*manage, "shell", "-c", FURNISH], env=environ, check=True, capture_output=True)
    server = subprocess.Popen([*manage, "serve"], env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port}"
    try:
        with httpx.Client(transport=httpx.HTTPTransport(retries=8)) as client:
            assert client.get(f"{address}/healthz").status_code == 200
        yield address
    finally:
        server.terminate()
        server.wait(20)


@dataclass
class Watched:
    """A page, and everything on it that should not have happened."""

    page: "sync_api.Page"
    base: str
    trouble: list[str] = field(default_factory=list)

    def watch(self) -> None:
        self.page.on("console", lambda said: said.type in ("error", "warning") and self.trouble.append(said.text))
        self.page.on("pageerror", lambda error: self.trouble.append(str(error)))
        self.page.on("request", lambda asked: self._inside(asked.url))

    def _inside(self, url: str) -> None:
        if not url.startswith((f"{self.base}/", "data:")):
            self.trouble.append(f"asked for {url}")

    def sign_in(self, name: str, then: str) -> None:
        self.page.context.clear_cookies()
        self.page.goto(f"{self.base}{then}")
        self.page.fill("#id_username", name)
        self.page.fill("#id_password", PASSWORD)
        self.page.click("button.button-main")
        self.page.wait_for_url(f"{self.base}{then}", wait_until="load")


@pytest.fixture
def browser() -> Iterator["sync_api.Browser"]:
    with sync_api.sync_playwright() as play:
        opened = play.chromium.launch(executable_path=str(CHROMIUM), args=list(FLAGS))
        yield opened
        opened.close()


@pytest.fixture
def seen(browser: "sync_api.Browser", base: str) -> Iterator[Watched]:
    watched = Watched(browser.new_page(viewport={"width": 1400, "height": 900}, color_scheme="light"), base)
    watched.watch()
    yield watched
    assert watched.trouble == []


def test_it_leads_from_a_wish_to_a_call_in_the_report(seen: Watched) -> None:
    page = seen.page
    seen.sign_in("mia", "/keys/")
    page.click("text=Request a key")
    page.fill("#id_name", "reranker")
    page.fill("#id_purpose", "rewrites queries")
    page.get_by_label("stub", exact=True).check()
    page.fill("#id_budget", "250")
    page.click("text=Send the request")
    assert "pending" in page.inner_text("main")
    request = page.url

    seen.sign_in("oda", "/keys/requests/")
    page.click("text=reranker")
    page.fill("#id_budget", "100")
    page.click("button:has-text('Approve')")
    assert "approved" in page.inner_text("main")

    seen.sign_in("mia", request.removeprefix(seen.base))
    page.click("button:has-text('Reveal the key')")
    line, secret = page.inner_text("#curl"), page.inner_text("#secret")
    assert within_two_seconds(page, lambda: call(line).status_code == 200)
    page.click("text=I have copied it")
    assert secret not in page.content()
    assert "$100" in page.inner_text("main")

    seen.sign_in("fay", "/reports/?group=key")
    report, row = page.url, page.locator("#costs tbody tr", has_text="reranker")
    assert within_two_seconds(page, lambda: page.goto(report) and row.count() == 1)
    row.get_by_text("Records").click()
    page.click("#records tbody a")
    assert "stub" in page.inner_text("#attempts")


def within_two_seconds(page: "sync_api.Page", happens: Callable[[], bool]) -> bool:
    """A new key is known to the gateway, and a call to the ledger, within about a second."""
    for _ in range(20):
        if happens():
            return True
        page.wait_for_timeout(100)
    return happens()


def call(line: str) -> httpx.Response:
    """Do what the shell would do with the line."""
    words = shlex.split(line.replace("\\\n", " "))
    headers = dict(re.split(r":\s*", words[place + 1], maxsplit=1) for place, word in enumerate(words) if word == "-H")
    return httpx.post(words[1], headers=headers, content=words[-1])


def test_an_approver_sets_a_budget_and_sees_when_it_begins_anew(seen: Watched) -> None:
    page = seen.page
    seen.sign_in("oda", "/keys/")
    page.click("text=chat widget")
    page.click("text=Set it")
    page.fill("#id_amount", "lots")
    page.click("button:has-text('Set the budget')")
    assert "is not an amount" in page.inner_text("main")
    assert [text for text in seen.trouble if "400" not in text] == []  # the browser reports the refusal itself
    seen.trouble.clear()
    page.fill("#id_amount", "12.5")
    page.click("button:has-text('Set the budget')")
    assert "The budget of chat widget is set" in page.inner_text("body")
    row = page.locator("#budgets tbody tr", has_text="key chat widget")
    first = (datetime.now(UTC).replace(day=1) + timedelta(days=32)).replace(day=1)
    assert "of $12.50" in row.inner_text()
    assert f"1 {first:%b %Y}, 00:00" in row.inner_text()


TINY = """() => {
  const chart = Chart.getChart(document.querySelector("canvas"));
  chart.data.datasets = [{ label: "tiny", data: [0.00023] }];
  chart.update();
  return chart.scales.y.ticks.map((tick) => tick.label);
}"""


def test_no_two_lines_of_the_chart_have_the_same_amount(seen: Watched) -> None:
    today = datetime.now(UTC).date()
    seen.sign_in("fay", f"/reports/?from={today - timedelta(days=9)}&to={today}")
    labels = seen.page.evaluate(TINY)
    assert len(labels) == len(set(labels)) > 3


def test_it_draws_the_chart_and_follows_the_filters_without_loading_the_page_again(seen: Watched) -> None:
    page = seen.page
    today = datetime.now(UTC).date()
    seen.sign_in("fay", f"/reports/?from={today - timedelta(days=9)}&to={today}")
    page.evaluate("window.stillTheSamePage = true")
    page.click("text=Provider >> nth=-1")
    page.wait_for_function(
        f"() => document.querySelector('.tabs [aria-current]').textContent === 'Provider' && {SETTLED}"
    )
    page.select_option("#id_team", "demo-support")
    page.wait_for_url("**team=demo-support**")
    page.wait_for_function(f"() => {SETTLED}")
    assert page.input_value("#id_team") == "demo-support"
    assert page.evaluate("window.stillTheSamePage") is True
    assert page.evaluate("Boolean(Chart.getChart(document.querySelector('canvas')))")
    page.go_back()
    page.wait_for_function("() => window.stillTheSamePage !== true")
    page.locator("#id_from").wait_for(state="visible")
    page.select_option("#id_month", index=0)
    page.wait_for_url("**month=**")
    page.locator("#id_from").wait_for(state="hidden")


def test_it_keeps_the_colours_that_were_chosen(seen: Watched) -> None:
    page = seen.page
    seen.sign_in("mia", "/keys/")
    ground = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(ground)
    page.click("[data-theme-switch]")
    dark = page.evaluate(ground)
    assert dark != light
    page.goto(f"{seen.base}/keys/requests/")
    assert page.evaluate(ground) == dark


# What shows less than its text: the chosen option of a list, beside its arrow, and anything else that is cut.
CUT_OFF = """() => {
    const pen = document.createElement('canvas').getContext('2d');
    const inner = (box, style) => box.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight);
    const arrow = 20;
    const lists = [...document.querySelectorAll('.page select:not([multiple])')].filter(each => each.offsetParent);
    const cells = [...document.querySelectorAll('.page .stacks td, .page .figure *')].filter(each => each.offsetParent);
    return [
        ...lists.filter(each => {
            const style = getComputedStyle(each);
            pen.font = style.font;
            return pen.measureText(each.selectedOptions[0]?.text || '').width > inner(each, style) - arrow;
        }).map(each => each.name),
        ...cells.filter(each => each.scrollWidth > each.clientWidth && getComputedStyle(each).display != 'inline')
            .map(each => each.innerText),
    ];
}"""


@pytest.mark.parametrize("width", [320, 390, 820, 1280, 1440])
def test_it_fits_a_telephone_and_a_desk(browser: "sync_api.Browser", base: str, width: int) -> None:
    watched = Watched(browser.new_page(viewport={"width": width, "height": 800}), base)
    watched.watch()
    for name, paths in {
        "mia": ("/keys/", "/keys/request/", "/keys/requests/", "/"),
        "fay": ("/reports/?month=2026-09", "/reports/records/?month=2026-09"),
        "ada": ("/keys/", "/reports/", "/admin/"),
    }.items():
        watched.sign_in(name, paths[0])
        for path in paths:
            watched.page.goto(f"{base}{path}")
            wide = watched.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
            assert wide == 0, path
            assert watched.page.evaluate(CUT_OFF) == [], path
        watched.page.context.clear_cookies()
    assert watched.trouble == []


def test_a_telephone_shows_what_a_key_spent_without_a_move_to_the_side(browser: "sync_api.Browser", base: str) -> None:
    watched = Watched(browser.new_page(viewport={"width": 390, "height": 800}), base)
    watched.sign_in("oda", "/keys/")
    for name in ("Spent in", "Monthly budget", "Last used"):
        cell = watched.page.locator(f"#working td[data-label^='{name}']").first.bounding_box()
        assert cell is not None
        assert cell["x"] >= 0
        assert cell["x"] + cell["width"] <= 390


def test_a_telephone_and_a_desk_both_hold_the_form_of_a_repricing(browser: "sync_api.Browser", base: str) -> None:
    for width in (390, 1440):
        watched = Watched(browser.new_page(viewport={"width": width, "height": 800}), base)
        watched.sign_in("ada", "/keys/")
        watched.page.goto(f"{base}/admin/accounts/repricing/add/")
        wide = watched.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide == 0, width
        assert watched.page.get_by_text("Until").is_visible()
