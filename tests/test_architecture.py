"""The rules of the house, kept true by reading imports: docs/architecture.md."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ROOMS = {"accounts", "routing", "proxy", "qlite_site"}
MAY_KNOW = {"accounts": set(), "routing": set(), "proxy": {"accounts", "routing"}, "qlite_site": ROOMS}
# Files and packages that may import Django; everything else in a room is plain.
TOUCHES_DJANGO = {
    "admin",
    "apps",
    "fields",
    "forms",
    "management",
    "migrations",
    "models",
    "portal",
    "reports",
    "store",
    "surfaces",
    "templatetags",
    "urls",
    "views",
}
LINES = 400


def files(room: str) -> list[Path]:
    return [path for path in (ROOT / room).rglob("*.py") if "migrations" not in path.parts]


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module


def colours(path: Path) -> set[str]:
    return {part.removesuffix(".py") for part in path.relative_to(ROOT).parts}


@pytest.mark.parametrize("room", sorted(ROOMS))
def test_rooms_know_only_their_neighbours(room: str) -> None:
    for path in files(room):
        known = {name.split(".")[0] for name in imports(path)} & ROOMS
        assert known <= MAY_KNOW[room] | {room}, path


@pytest.mark.parametrize("room", ["accounts", "routing", "proxy"])
def test_logic_is_free_of_django(room: str) -> None:
    for path in files(room):
        if TOUCHES_DJANGO.isdisjoint(colours(path)):
            assert not any(name.split(".")[0] == "django" for name in imports(path)), path


def test_proxy_does_not_reach_into_other_rooms_rows() -> None:
    for path in files("proxy"):
        if {"management", "admin", "migrations"}.isdisjoint(colours(path)):
            for name in imports(path):
                room, *rest = name.split(".")
                assert room not in {"accounts", "routing"} or not {"models", "store"} & set(rest), (path, name)


def test_no_file_is_longer_than_400_lines() -> None:
    paths = [path for folder in (*ROOMS, "loadtest", "tests") for path in (ROOT / folder).rglob("*.py")]
    long = {
        str(path.relative_to(ROOT)): lines
        for path in paths
        if "migrations" not in path.parts and (lines := len(path.read_text().splitlines())) > LINES
    }
    assert not long


def test_every_kind_has_an_adapter() -> None:
    from proxy.providers import ADAPTERS
    from routing.kinds import KINDS

    assert set(ADAPTERS) == set(KINDS)


@pytest.mark.parametrize("room", ["accounts", "routing", "proxy", "qlite_site"])
def test_nothing_can_run_code_or_commands_from_data(room: str) -> None:
    """Reliability SR-7, SR-10, SR-12: no evaluation, no pickles, no processes, no raw SQL that is not constant."""
    banned = {"eval", "exec", "compile", "__import__"}
    modules = {"subprocess", "pickle", "marshal", "shelve"}
    for path in files(room):
        assert not modules & {name.split(".")[0] for name in imports(path)}, path
        tree = ast.parse(path.read_text())
        ours = {alias.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for alias in node.names}
        for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
            name = ast.unparse(call.func)
            assert name not in banned - ours, (path, call.lineno)
            assert name not in {"os.system", "os.popen", "yaml.unsafe_load", "yaml.full_load"}, (path, call.lineno)
            if name == "yaml.load":  # with a loader of our own, which is a safe one
                loader = next(ast.unparse(each.value) for each in call.keywords if each.arg == "Loader")
                assert f"class {loader}(" in path.read_text() and "SafeLoader)" in path.read_text(), path
