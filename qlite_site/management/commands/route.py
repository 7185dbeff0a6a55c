"""`qlite route explain MODEL`: where a request would go and why. Nothing is called."""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from qlite_site.simulate import tables
from qlite_site.simulate.decision import decided, sentences, tags_of
from routing.decide import Request, marked
from routing.store import RoutingRefused


class Command(BaseCommand):
    help = "Explain where a request for a model would go, by the table that serves or by the draft. Nothing is called."

    def add_arguments(self, parser: ArgumentParser) -> None:
        explain = parser.add_subparsers(dest="verb", required=True).add_parser("explain", help="one request")
        explain.add_argument("model", metavar="MODEL", help="The name that the caller asks for.")
        explain.add_argument("--team", default="", help="The caller's team.")
        for name in ("stream", "tools", "images", "json-schema"):
            explain.add_argument(f"--{name}", action="store_true", help=f"The request has it: {name}.")
        explain.add_argument("--tokens", type=int, default=1000, help="Size of the prompt (default 1000).")
        explain.add_argument("--tag", action="append", default=[], metavar="NAME=VALUE", help="May be repeated.")
        explain.add_argument("--session", default="", help="The session's header or user, for sticky routes.")
        explain.add_argument("--draft", action="store_true", help="Ask the draft, not the table that serves.")
        explain.add_argument("--json", action="store_true", dest="as_json", help="Print JSON.")

    def handle(self, *, draft: bool, as_json: bool, **options: Any) -> None:
        try:
            request = _request(options)
            table = tables.draft() if draft else tables.serving()
        except (ValueError, RoutingRefused) as error:
            raise CommandError(str(error)) from None
        said = decided(request, table, tables.outlook())
        self.stdout.write(json.dumps(said, indent=2, ensure_ascii=False) if as_json else "\n".join(sentences(said)))


def _request(options: dict[str, Any]) -> Request:
    if options["tokens"] < 0:
        raise ValueError(f"a prompt does not have {options['tokens']} tokens")
    known = {name: options[name] for name in ("model", "team", "stream", "tools", "images", "json_schema", "tokens")}
    return Request(**known, tags=tags_of(options["tag"]), session=marked(options["session"]))
