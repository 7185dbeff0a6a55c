"""`qlite serve` that dies at one step of its work: `python -m tests.gateway.dying STEP`.

The gateway is the real one; what dies stands around its journal, its providers and its database connection, handed in
where the command builds it.
"""

import os
import sys
from typing import Any

import django

DIED = 77
SERVE = ["qlite", "serve"]


def die() -> None:
    os._exit(DIED)


class Around:
    """A thing whose `name` is the step: we die before or after it, or after it has been done `times`."""

    def __init__(self, inner: Any, name: str, when: str) -> None:
        self._inner, self._name, self._when = inner, name, when

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        return found if name != self._name else self._dying(found)

    def _dying(self, work: Any) -> Any:
        def step(*args: Any, **kwargs: Any) -> Any:
            if self._when == "before":
                die()
            done = work(*args, **kwargs)
            if done != []:  # nothing to drain is no step
                die()
            return done

        return step


class AroundCalls(Around):
    """The same for what is awaited."""

    def _dying(self, work: Any) -> Any:
        async def step(*args: Any, **kwargs: Any) -> Any:
            if self._when == "before":
                die()
            await work(*args, **kwargs)
            die()

        return step


class AroundStreams(Around):
    """We die when the answer's body has been read for the first time, or for the second."""

    async def open(self, *args: Any) -> Any:
        response = await self._inner.open(*args)
        response.stream = AroundReads(response.stream, int(self._when))
        return response


class AroundReads:
    def __init__(self, inner: Any, at: int) -> None:
        self._inner, self._left = inner, at

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def next(self) -> bytes:
        part: bytes = await self._inner.next()
        self._left -= 1
        if self._left == 0:
            die()
        return part


def in_statement(table: str, when: str) -> Any:
    """Return what dies before or after rows are written to a table."""

    def step(execute: Any, sql: str, *rest: Any) -> Any:
        meant = sql.startswith(f"INSERT INTO {table} ")
        if meant and when == "before":
            die()
        done = execute(sql, *rest)
        if meant:
            die()
        return done

    return step


class AroundStatements:
    """A connection of sqlite3's own, which the ledger's rows are given to without Django's cursor."""

    def __init__(self, inner: Any, step: Any) -> None:
        self._inner, self._step = inner, step

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def execute(self, sql: str, *values: Any) -> Any:
        return self._step(self._inner.execute, sql, *values)


def armed(gateway: Any, step: str) -> Any:
    """Arm a gateway. Steps: `when-journal-METHOD`, `when-upstream-METHOD`, `1-stream`, `when-table-NAME`."""
    when, what, *name = step.split("-")
    if what == "journal":
        gateway.journal = Around(gateway.journal, name[0], when)
    elif what == "upstream":
        gateway.upstream = AroundCalls(gateway.upstream, name[0], when)
    elif what == "stream":
        gateway.upstream = AroundStreams(gateway.upstream, "open", when)
    else:
        from django.db.backends.signals import connection_created

        step_in = in_statement(f"accounts_{name[0]}", when)

        def arm(connection: Any, **kwargs: Any) -> None:
            connection.execute_wrappers.append(step_in)
            connection.connection = AroundStatements(connection.connection, step_in)

        connection_created.connect(arm, weak=False)
    return gateway


def main(step: str) -> None:
    django.setup()
    from qlite_site import wiring
    from qlite_site.management.commands.serve import Command

    class Dying(Command):
        def start(self, index: int) -> None:
            wiring.start(index, build=lambda: armed(wiring.build_gateway(), step))

    Dying().run_from_argv(SERVE)


if __name__ == "__main__":
    main(sys.argv[1])
