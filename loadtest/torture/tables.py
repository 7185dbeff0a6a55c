"""What the runs found, as names and figures in the order in which they are read."""

from loadtest.stats import percentile
from loadtest.torture.away import Away
from loadtest.torture.leave import Run
from loadtest.torture.run import Outcome

Lines = list[tuple[str, str]]


def of_kills(outcome: Outcome) -> Lines:
    crowd, found = outcome.crowd, outcome.judgement
    complete = sum(told.status == 200 and told.complete for told in crowd.told)
    return [
        ("kill -9 under load / while starting", f"{outcome.kills} / {outcome.kills_while_starting}"),
        ("seconds from start to ready, median / longest", _spread(outcome.restarts)),
        *([("seconds until adopted, median / longest", _spread(outcome.adoptions))] if outcome.adoptions else []),
        ("questions asked", f"{crowd.asked}"),
        ("  answered whole, with cost", f"{complete}"),
        ("  answered whole, with an error", f"{len(crowd.told) - complete}"),
        ("  broken off by a kill", f"{crowd.broken}"),
        ("  no answer in a minute", f"{crowd.late}"),
        ("requests that reached the provider", f"{found.hits}"),
        ("records / attempts in the ledger", f"{found.rows} / {found.attempts}"),
        *((f"  {status}", f"{count}") for status, count in sorted(found.by_status.items())),
        ("attempts the provider never heard of", f"{found.unheard}"),
        ("nano-dollars told to callers", f"{found.told_nano}"),
        ("nano-dollars recorded for them", f"{found.recorded_nano}"),
        ("violations", f"{len(found.violations)}"),
        ("seed, seconds", f"{crowd.seed}, {outcome.seconds:.0f}"),
    ]


def of_leavers(run: Run) -> Lines:
    found = run.leaving
    return [
        ("callers who left", f"{len(run.leavers.left)}"),
        ("  before the gateway had their request", f"{len(run.leavers.left) - found.recorded}"),
        ("requests that reached the provider", f"{found.reached}"),
        ("  streams closed there, since nobody listened", f"{found.closed}"),
        ("seconds from leaving to closed, longest", f"{found.slowest:.2f}"),
        ("records in the ledger", f"{found.recorded}"),
        *((f"  {status}", f"{count}") for status, count in sorted(found.by_status.items())),
        ("words read / billed / sent", f"{found.words_read} / {found.words_billed} / {found.words_sent}"),
        ("violations", f"{len(found.violations)}"),
        ("seed, seconds", f"{run.leavers.seed}, {run.seconds:.0f}"),
    ]


def of_away(run: Away) -> Lines:
    found = run.judgement
    return [
        ("seconds without the database, under load", f"{run.seconds_away:.0f}"),
        *((f"answers with status {status}", f"{count}") for status, count in sorted(run.statuses.items())),
        ("most records seen waiting in the journal", f"{run.waiting}"),
        ("requests that reached the provider", f"{found.hits}"),
        ("records / attempts in the ledger", f"{found.rows} / {found.attempts}"),
        ("nano-dollars told to callers", f"{found.told_nano}"),
        ("nano-dollars recorded for them", f"{found.recorded_nano}"),
        ("violations", f"{len(found.violations)}"),
    ]


def _spread(seconds: list[float]) -> str:
    return f"{percentile(seconds, 50):.1f} / {max(seconds):.1f}"
