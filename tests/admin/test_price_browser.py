"""In a real browser: a model without a price gets one, and what waited for it is booked."""

from collections.abc import Iterator

import pytest
from django.db import connection
from pytest_django.live_server_helper import LiveServer

from accounts.models import Adjustment, Price
from accounts.store import kept, reprice
from accounts.store.ledger import save_entries
from accounts.store.waiting import waiting
from tests.accounts.making import attempt, entry, raw
from tests.admin import rows
from tests.admin.test_browser import CHROMIUM, browsing

pytestmark = [pytest.mark.browser, pytest.mark.skipif(not CHROMIUM.exists(), reason="needs Debian's chromium")]
UNPRICED = {
    "provider": "lab",
    "kind": "openai-compatible",
    "model": "llama-9",
    "cost_status": "unpriced",
    "cost_nano": 0,
}


@pytest.fixture
def three_waiting(transactional_db: None) -> Iterator[None]:
    rows.person("fiona", "finance", password="correct horse")
    save_entries(raw(*(entry(attempt(**UNPRICED, price_id=None)) for _ in range(3))))
    yield
    kept.lift(connection)  # so that the rows can go; emptying the tables puts the triggers back


def run_what_was_asked_for() -> None:
    """What the housekeeper does in a gateway that runs."""
    while (id := reprice.unfinished()) is not None:
        reprice.run(id)


def test_finance_prices_a_model_and_books_what_waits(three_waiting: None, live_server: LiveServer) -> None:
    with browsing(live_server.url, "fiona") as browser:
        browser.page.click("text=Models without a price")
        browser.page.wait_for_selector("#waiting-1 >> text=3 calls without a price")
        browser.page.click('a.ql-button:has-text("Add a price")')
        browser.page.wait_for_selector("#id_input")
        assert browser.page.input_value("#id_model") == "llama-9"
        browser.page.fill("#id_input", "0.25")
        browser.page.fill("#id_output", "1.5")
        browser.page.fill("#id_tiers", "above 200000: input 0.5")
        browser.page.click("[name=_save]")
        browser.page.wait_for_selector("text=was added successfully")
        browser.open("/admin/accounts/price/waiting/")
        browser.page.click('button:has-text("See what it comes to")')
        browser.page.wait_for_selector("text=Reckoning what it comes to")
    assert Price.objects.get().tiers == [{"above": 200_000, "amounts": {"input": 500_000_000}}]
    run_what_was_asked_for()
    assert not Adjustment.objects.exists()
    with browsing(live_server.url, "fiona") as browser:
        browser.open("/admin/accounts/price/waiting/")
        # 1000 in at 0.25 and 200 out at 1.5 USD a million, three times.
        browser.page.wait_for_selector("text=3 adjustments, $0.00165")
        browser.page.click('button:has-text("Book it")')
        browser.page.wait_for_selector("text=Booking 3 adjustments")
    run_what_was_asked_for()
    assert sum(each.cost_nano_delta for each in Adjustment.objects.all()) == 1_650_000
    assert waiting() == []


def test_finance_looks_at_a_price_list_and_takes_it_over(three_waiting: None, live_server: LiveServer) -> None:
    with browsing(live_server.url, "fiona") as browser:
        browser.page.click("text=Price lists")
        browser.page.wait_for_selector("text=925 new, 0 changed")
        browser.page.click("text=Take over the new and the changed ones")
        browser.page.wait_for_selector("text=Added 925 versions")
        browser.page.wait_for_selector("text=in force")
    assert Price.objects.filter(origin="genai-prices").count() == 925
