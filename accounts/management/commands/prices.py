"""`qlite prices sync` and `qlite prices convert`: bring a list into the price book, and make the one that ships."""

from argparse import ArgumentParser
from dataclasses import is_dataclass
from datetime import date, time
from decimal import Decimal
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from accounts import pricelists
from accounts.money import usd
from accounts.pricelists import additions, genai, own, words
from accounts.pricelists.compare import CHANGED, IGNORED, NEW, SAME
from accounts.pricelists.offers import List, NotAList
from accounts.store import pricelists as store
from accounts.store import reprice, waiting

AUTHOR = "qlite prices settle-waiting"
ALIASES = {"or_": "or", "and_": "and"}


class Command(BaseCommand):
    help = "Compare the price book with a price list, and take it over; or write such a list in our own form."

    def add_arguments(self, parser: ArgumentParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        sync = actions.add_parser("sync", help="Show what a price list would change. Your own prices stay as they are.")
        sync.add_argument("--file", type=Path, help="genai-prices' data.json, LiteLLM's model prices, or our own form.")
        sync.add_argument("--apply", action="store_true", help="Add the new and the changed ones as versions.")
        settle = actions.add_parser(
            "settle-waiting", help="Show what calls without a price come to, now that they have one."
        )
        settle.add_argument("--apply", action="store_true", help="Book it, as adjustments beside the records, once.")
        convert = actions.add_parser("convert", help="Write a price list in our own form to standard output.")
        convert.add_argument("--file", type=Path, help="The list. Without one the installed package genai-prices.")

    def handle(self, *, action: str, file: Path | None = None, apply: bool = False, **options: Any) -> None:
        try:
            if action == "settle-waiting":
                self._settle(apply)
            elif action == "sync":
                self._sync(pricelists.read(file.read_text()) if file else store.shipped(), apply)
            else:
                self._convert(pricelists.read(file.read_text()) if file else _installed())
        except (NotAList, OSError, UnicodeDecodeError) as error:
            raise CommandError(str(error)) from None

    def _sync(self, prices: List, apply: bool) -> None:
        changes = store.compared(prices)
        for change in changes:
            if change.status != SAME:
                self.stdout.write(words.line(change))
        for sentence in prices.unusable:
            self.stdout.write(f"left out  {sentence}")
        counted = store.count(changes)
        listed = ", ".join(f"{counted[status]} {status}" for status in (NEW, CHANGED, SAME, IGNORED))
        self.stdout.write(f"{prices.source}: {listed}.")
        if apply:
            self.stdout.write(f"Added {store.apply(changes, prices, by='qlite prices sync')} versions.")
        elif counted[NEW] or counted[CHANGED]:
            self.stdout.write("Nothing was changed. With --apply the new and the changed ones are added.")

    def _settle(self, apply: bool) -> None:
        rows = waiting.waiting()
        for each in rows:
            name = f"{each.provider}/{each.model}"
            if each.price is None:
                self.stdout.write(f"{name}: {each.calls:,} calls wait; it has no price.")
                continue
            done = reprice.run(waiting.preview(each, author=AUTHOR, at_once=apply).pk)
            booked = f"booked {done.booked:,} adjustments" if apply else f"{done.found:,} adjustments"
            left = f"; {done.waiting:,} go on waiting" if done.waiting else ""
            self.stdout.write(f"{name}: {booked}, {usd(done.booked_nano if apply else done.delta_nano)} USD{left}.")
            if not apply:
                reprice.cancel(done.pk)
        if not rows:
            self.stdout.write("Nothing waits for a price.")
        elif not apply:
            self.stdout.write("Nothing was booked. With --apply it is.")

    def _convert(self, prices: List) -> None:
        self.stdout.write(own.write(additions.added(additions.completed(prices))), ending="")


def _installed() -> List:
    """Return the list of the installed genai-prices, a tool for making the list that ships, not needed otherwise."""
    try:
        data = import_module("genai_prices.data")
    except ImportError as error:
        raise NotAList(f"{error}. Install genai-prices, or give its data.json with --file.") from None
    return genai.read([_plain(each) for each in data.providers], version("genai-prices"))


def _plain(value: Any) -> Any:
    """Return a value of genai-prices as its JSON would have it."""
    if is_dataclass(value) or (hasattr(value, "__dict__") and not isinstance(value, type)):
        kept = {name: _plain(each) for name, each in vars(value).items() if not name.startswith("_")}
        return {ALIASES.get(name, name): each for name, each in kept.items() if each is not None}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, date | time):
        return value.isoformat()
    return str(value) if isinstance(value, Decimal) else value
