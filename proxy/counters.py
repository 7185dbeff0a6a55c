"""Counters and latencies for Prometheus. Labels come from the routing table only, never from a caller's text."""

from collections.abc import Mapping
from typing import Any

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
    values,
)
from prometheus_client.multiprocess import MultiProcessCollector

from accounts.ledger.entry import Entry

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)


class Counters:
    """This process's metrics. With `folder` set (several processes) values live in files that every process reads."""

    def __init__(self, *, folder: str = "") -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        # It would look by itself when it is imported, and that may be before the folder is known.
        values.ValueClass = values.MultiProcessValue() if folder else values.MutexValue  # type: ignore[no-untyped-call]
        self._folder = folder
        self._registry = registry = CollectorRegistry()
        labels = ["surface", "route", "provider", "status"]
        self._requests = Counter("qlite_requests", "Requests by how they ended.", labels, registry=registry)
        self._seconds = Histogram(
            "qlite_request_duration_seconds",
            "From admission to the last byte.",
            ["surface"],
            buckets=SECONDS,
            registry=registry,
        )
        self._first = Histogram(
            "qlite_first_chunk_seconds",
            "From admission to a stream's first chunk.",
            ["surface"],
            buckets=SECONDS,
            registry=registry,
        )
        self._units = Counter("qlite_units", "Tokens and other units by class.", ["route", "unit"], registry=registry)
        self._cost = Counter("qlite_cost_nano_usd", "Cost in nano-USD.", ["route", "provider"], registry=registry)
        self._saved = Counter("qlite_saved_nano_usd", "Cost avoided by the cache.", ["route"], registry=registry)
        self._cache = Counter("qlite_cache", "Look-ups in the exact cache.", ["result"], registry=registry)
        self._unpriced = Counter("qlite_unpriced_requests", "Requests without a price.", ["route"], registry=registry)
        self._failures = Counter(
            "qlite_upstream_failures", "Attempts that brought no answer.", ["provider", "code"], registry=registry
        )
        self._moved = Counter(
            "qlite_breaker_changes", "Breakers that opened or closed.", ["provider", "state"], registry=registry
        )
        self._open = Gauge(
            "qlite_breakers_open",
            "Targets in trouble or opened by hand, as each process sees it.",
            ["provider"],
            registry=registry,
            multiprocess_mode="livemax",
        )
        self._unread = Counter(
            "qlite_upstream_unread_events", "Events of streams that were no JSON.", ["provider"], registry=registry
        )
        self._rejected = Counter("qlite_rejected", "Requests turned away before dispatch.", ["code"], registry=registry)
        self.backlog = Gauge(
            "qlite_journal_rows", "Rows waiting in the journal.", registry=registry, multiprocess_mode="livesum"
        )
        self.in_flight = Gauge(
            "qlite_requests_in_flight", "Requests being served.", registry=registry, multiprocess_mode="livesum"
        )
        self.table_age = Gauge(
            "qlite_tables_age_seconds",
            "Since the tables were last read.",
            registry=registry,
            multiprocess_mode="livemax",
        )
        self.log_dropped = Gauge(
            "qlite_log_lines_dropped",
            "Request log lines that nobody took in time.",
            registry=registry,
            multiprocess_mode="livesum",
        )
        self.verify_days = _gauge("qlite_ledger_verify_days", "Days whose rows are sealed.", registry)
        self.verify_problems = _gauge("qlite_ledger_verify_problems", "Faults that were found in them.", registry)
        self.verified_at = _gauge("qlite_ledger_verify_timestamp_seconds", "When one was looked at last.", registry)
        self._troubled: set[str] = set()
        self._children: dict[tuple[Any, ...], Any] = {}

    def _child(self, metric: Any, *values: str) -> Any:
        """Return a metric's child for these labels; kept, since making one costs more than counting."""
        key = (metric, *values)
        child = self._children.get(key)
        if child is None:
            child = self._children[key] = metric.labels(*values)
        return child

    def settled(self, entry: Entry) -> None:
        """Count one settled request."""
        provider = entry.attempts[-1].provider if entry.attempts else ""
        child = self._child
        child(self._requests, entry.surface, entry.route, provider, entry.status).inc()
        child(self._seconds, entry.surface).observe((entry.latency_us or 0) / 1_000_000)
        if entry.first_token_us is not None:
            child(self._first, entry.surface).observe(entry.first_token_us / 1_000_000)
        if not entry.cached:
            for unit, count in (entry.usage or {}).items():
                child(self._units, entry.route, unit).inc(count)
        if entry.cost_nano:
            child(self._cost, entry.route, provider).inc(entry.cost_nano)
        if entry.saved_nano:
            child(self._saved, entry.route).inc(entry.saved_nano)
        if entry.cost_status == "unpriced":
            child(self._unpriced, entry.route).inc()

    def cache(self, result: str) -> None:
        self._child(self._cache, result).inc()

    def upstream_failed(self, provider: str, code: str) -> None:
        self._child(self._failures, provider, code).inc()

    def breaker_moved(self, provider: str, state: str) -> None:
        self._child(self._moved, provider, state).inc()

    def open_breakers(self, by_provider: Mapping[str, int]) -> None:
        """Set how many breakers of each provider are not closed; those of a provider not named are."""
        for name in by_provider.keys() | self._troubled:
            self._child(self._open, name).set(by_provider.get(name, 0))
        self._troubled |= by_provider.keys()

    def unread(self, provider: str, count: int) -> None:
        self._child(self._unread, provider).inc(count)

    def rejected(self, code: str) -> None:
        self._child(self._rejected, code).inc()

    def render(self) -> bytes:
        """Return everything in Prometheus' text format, of all processes where there are several."""
        if not self._folder:
            return generate_latest(self._registry)
        together = CollectorRegistry()
        MultiProcessCollector(together, path=self._folder)  # type: ignore[no-untyped-call]
        return generate_latest(together)


def _gauge(name: str, told: str, registry: CollectorRegistry) -> Gauge:
    """Return a gauge that says the same in every process."""
    return Gauge(name, told, registry=registry, multiprocess_mode="livemax")
