"""Golden files: a case is a file, and beside it what is expected of it."""

import json
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[2] / "golden"


def cases(*where: str, suffix: str = ".json") -> list[Path]:
    """Return the cases in a folder; a folder without any would test nothing."""
    found = sorted(
        path for path in FOLDER.joinpath(*where).glob(f"*{suffix}") if not path.name.endswith(f".expected{suffix}")
    )
    assert found, where
    return found


def load(path: Path) -> Any:
    return json.loads(path.read_bytes())


def expected(path: Path, suffix: str = ".expected.json") -> Any:
    """Return what is expected: parsed if it is JSON, its bytes otherwise."""
    beside = path.with_suffix(suffix)
    return load(beside) if suffix.endswith(".json") else beside.read_bytes()


def named(path: Path) -> str:
    return path.stem
