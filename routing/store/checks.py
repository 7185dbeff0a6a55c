"""The checks of a draft, with what they have to ask: credentials from the rows, prices from whoever knows them."""

import os
from collections.abc import Mapping

from routing import checks
from routing.checks import Finding, Priced
from routing.document import Document
from routing.store.credentials import drafted
from routing.store.revisions import document_of, draft, latest

_asked: dict[str, Priced] = {}


def ask_prices(priced: Priced) -> None:
    """Let `priced` say whether a model has a price. Routing does not know prices by itself."""
    _asked["priced"] = priced


def findings(table: Document | None = None, environ: Mapping[str, str] | None = None) -> list[Finding]:
    """List what is wrong with `table`, by default the draft, beside what serves. Raises RoutingRefused."""
    found = _credentials(os.environ if environ is None else environ)
    return checks.findings(
        draft() if table is None else table,
        document_of(latest()),
        priced=_asked.get("priced", _always),
        has_credential=lambda name: found.get(name, False),
    )


def _credentials(environ: Mapping[str, str]) -> dict[str, bool]:
    return {name: bool(sealed) or bool(environ.get(variable)) for name, (sealed, variable) in drafted().items()}


def _always(provider: str, kind: str, model: str) -> bool:
    return True
