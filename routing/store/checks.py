"""The checks of a draft, with what they have to ask: credentials from the rows, the rest from whoever knows it."""

import os
from collections.abc import Callable, Mapping

from routing import checks
from routing.checks import NOTHING_NAMED, Finding, IsTeam, Named, Priced
from routing.document import Document
from routing.store.credentials import drafted
from routing.store.revisions import document_of, draft, latest

_prices: list[Callable[[], Priced]] = []
_teams: list[Callable[[], IsTeam]] = []
_named: list[Callable[[], Named]] = []


def ask_prices(book: Callable[[], Priced]) -> None:
    """Let `book` say how to ask for prices; it is called once for each run of the checks. Routing knows none itself."""
    _prices[:] = [book]


def ask_teams(names: Callable[[], IsTeam]) -> None:
    """The same for teams."""
    _teams[:] = [names]


def ask_named(names: Callable[[], Named]) -> None:
    """The same for what else names routes and providers."""
    _named[:] = [names]


def findings(
    table: Document | None = None, serving: Document | None = None, environ: Mapping[str, str] | None = None
) -> list[Finding]:
    """List what is wrong with `table`, by default the draft, beside `serving`, by default what serves.

    Raises RoutingRefused.
    """
    found = _credentials(os.environ if environ is None else environ)
    table = draft() if table is None else table
    return checks.findings(
        table,
        document_of(latest(), like=table) if serving is None else serving,
        priced=_prices[0]() if _prices else lambda provider, kind, model: True,
        has_credential=lambda name: found.get(name, False),
        is_team=_teams[0]() if _teams else lambda name: True,
        named=_named[0]() if _named else NOTHING_NAMED,
    )


def _credentials(environ: Mapping[str, str]) -> dict[str, bool]:
    return {name: bool(sealed) or bool(environ.get(variable)) for name, (sealed, variable) in drafted().items()}
