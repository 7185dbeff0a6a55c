"""The documents say what the code does: settings, errors, headers, metrics, commands, files and functions."""

import ast
import re
from argparse import ArgumentParser
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from django.core.management import get_commands, load_command_class

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
PAGES = [
    *(ROOT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
    ROOT / "loadtest" / "README.md",
]
ROOMS = ("accounts", "routing", "proxy", "qlite_site", "loadtest", "tests")
READERS = {"env", "environ", "reader"}
VARIABLE = re.compile(r"[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)*")
CODE = re.compile(r"[a-z]+(?:_[a-z]+)*")
# What the code block or span says, not the prose around it.
FENCED = re.compile(r"^```\w*\n(.*?)^```", re.MULTILINE | re.DOTALL)
INDENTED = re.compile(r"^(?: {4}|\t)(.+)$", re.MULTILINE)
SPAN = re.compile(r"`([^`\n]+)`")
# Folders that stand on one person's machine only.
OF_A_MACHINE = re.compile(r"(?<![\w.])/(?:home|root|Users|work|tmp)/|[A-Z]:\\\\")


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


@cache
def text(path: Path) -> str:
    return path.read_text()


def code(path: Path) -> str:
    """Everything on a page that stands in a block or span of code, a line each."""
    page = text(path)
    return "\n".join([*FENCED.findall(page), *INDENTED.findall(page), *SPAN.findall(page)])


def owner(node: ast.expr) -> str:
    """The last name before what is called or subscribed: `reader` of `env.reader.read_env`."""
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def literal(node: ast.AST | None) -> object:
    return node.value if isinstance(node, ast.Constant) else None


def read_in(name: str) -> Iterator[tuple[str, ast.Call | None]]:
    """Environment variables that a file of the site reads, each with the call that reads it."""
    for node in ast.walk(tree(ROOT / "qlite_site" / name)):
        if isinstance(node, ast.Subscript) and owner(node.value) == "environ":
            called, argument = None, node.slice
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args:
            if owner(node.func.value) not in READERS:
                continue
            called, argument = node, node.args[0]
        else:
            continue
        if isinstance(found := literal(argument), str) and VARIABLE.fullmatch(found):
            yield found, called


def variables() -> set[str]:
    of_providers = {literal(node) for node in ast.walk(tree(ROOT / "qlite_site" / "bootstrap.py"))}
    settings = {name for file in ("settings.py", "bootstrap.py") for name, _ in read_in(file)}
    return settings | {str(name) for name in of_providers if re.search("_(API_KEY|BASE_URL)$", str(name))}


def test_it_documents_every_setting() -> None:
    read = variables()
    assert {"QLITE_DATA_DIR", "PORT", "DATABASE_URL", "SECRET_KEY", "OPENAI_API_KEY", "QLITE_ADMIN_PASSWORD"} <= read
    named = set(re.findall(r"`([A-Z][A-Z0-9_]+)(?:=[^`]*)?`", text(ROOT / "docs" / "operating.md")))
    assert sorted(read - named) == []
    example = set(re.findall(r"^#?([A-Z][A-Z0-9_]+)=", text(ROOT / ".env.example"), re.MULTILINE))
    assert sorted(read - example) == []
    assert sorted(example - read) == []


def test_it_documents_no_setting_that_nothing_reads() -> None:
    sources = "".join(path.read_text() for room in ROOMS[:-1] for path in (ROOT / room).rglob("*.py"))
    for page in [*PAGES, ROOT / "Dockerfile", ROOT / "compose.yaml"]:
        for name in re.findall(r"\bQLITE_[A-Z0-9_]+\b", text(page)):
            assert name in sources, (page.name, name)


def worth(node: ast.expr) -> object:
    """What a default says: a constant, or a product of numbers; None for what has to be computed."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
        left, right = worth(node.left), worth(node.right)
        return left * right if isinstance(left, int) and isinstance(right, int) else None
    return literal(node)


def spelled(value: object) -> str:
    """A default as people write it: `on` for True, `5` for 5.0."""
    return {True: "on", False: "off"}[value] if isinstance(value, bool) else str(value).removesuffix(".0")


def test_it_gives_the_defaults_of_the_settings() -> None:
    example = dict(re.findall(r"^#?([A-Z][A-Z0-9_]+)=(.*)$", text(ROOT / ".env.example"), re.MULTILINE))
    defaults = {name: worth(call.args[1]) for name, call in read_in("settings.py") if call and call.args[1:]}
    compared = {name: spelled(value) for name, value in defaults.items() if value is not None}
    assert len(compared) > 20
    assert {name: example[name] for name in compared} == compared


def codes(path: Path) -> Iterator[str]:
    """Error codes that a file can give, as it spells them out."""
    for node in ast.walk(tree(path)):
        found: list[object] = []
        if isinstance(node, ast.keyword) and node.arg == "code":
            found = [literal(node.value)]
        elif isinstance(node, ast.Assign):
            for target in node.targets:
                found += assigned(target, node.value)
        elif isinstance(node, ast.AnnAssign):
            found = assigned(node.target, node.value)
        elif isinstance(node, ast.Call) and owner(node.func) in {"Refused", "error_body"} and len(node.args) > 1:
            found = [literal(node.args[1])]
        yield from (each for each in found if isinstance(each, str) and CODE.fullmatch(each))


def assigned(target: ast.expr, value: ast.expr | None) -> list[object]:
    """What is assigned to a name `code`, alone or in a tuple."""
    if isinstance(target, ast.Name):
        return [literal(value)] if target.id in {"code", "STOPPING"} else []
    if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
        return [each for pair in zip(target.elts, value.elts, strict=True) for each in assigned(*pair)]
    return []


def test_it_documents_every_error_code() -> None:
    given = {found for room in ("proxy", "qlite_site") for path in (ROOT / room).rglob("*.py") for found in codes(path)}
    assert {"invalid_json", "invalid_api_key", "model_not_found", "upstream_timeout", "request_too_large"} <= given
    errors = text(ROOT / "docs" / "api.md").partition("\n## Errors\n")[2].partition("\n## ")[0]
    documented = set(re.findall(r"^\| `([a-z_]+)` \|", errors, re.MULTILINE))
    assert sorted(given - documented) == []
    assert sorted(documented - given) == []


def test_it_documents_every_header_of_ours() -> None:
    sent = set(re.findall(r'b"(x-(?!content)[a-z-]+)"', (ROOT / "proxy" / "surfaces" / "answers.py").read_text()))
    named = set(re.findall(r"`(x-[a-z-]+)[^`]*`", text(ROOT / "docs" / "api.md").lower()))
    assert {"x-qlite-id", "x-cache"} <= sent
    assert sorted(sent - named) == []


def test_it_documents_every_metric() -> None:
    metrics = re.findall(r'"(qlite_[a-z_]+)"', (ROOT / "proxy" / "counters.py").read_text())
    assert metrics
    for metric in metrics:
        assert f"`{metric}" in text(ROOT / "docs" / "operating.md"), metric


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_it_names_only_make_targets_that_exist(page: Path) -> None:
    targets = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"^(?:[$] )?(?:[A-Z_]+=\S+ )*make +([a-z][a-z-]*)", code(page), re.MULTILINE))
    assert named <= targets


def test_the_readme_names_every_make_target() -> None:
    public = re.findall(r"^([a-z][a-z-]*):.*##", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert sorted(name for name in public if f"`make {name}`" not in text(README)) == []


def options(parser: ArgumentParser) -> set[str]:
    """All options of a command, its actions' included."""
    found: set[str] = set()
    for action in parser._actions:
        found |= set(action.option_strings)
        for inner in (action.choices or {}).values() if isinstance(action.choices, dict) else ():
            found |= options(inner) | {str(name) for name in action.choices or ()}
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_it_names_only_commands_and_options_that_exist(page: Path) -> None:
    known = get_commands()
    for name, rest in re.findall(r"(?:^|[ /\"])qlite +([a-z]+)([^\n|>#]*)", code(page), re.MULTILINE):
        assert name in known, (page.name, name)
        command = load_command_class(str(known[name]), name)
        there = options(command.create_parser("qlite", name))
        assert set(re.findall(r"(--[a-z-]+)", rest)) <= there, (name, rest)
        if name == "ledger":
            assert rest.split()[:1] == [] or rest.split()[0] in there, rest


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_it_names_only_files_and_functions_that_exist(page: Path) -> None:
    pattern = rf"`((?:{'|'.join(ROOMS)})/[\w/]+\.py)(?::([\w.]+))?`"
    for name, thing in re.findall(pattern, text(page)):
        assert (ROOT / name).is_file(), name
        if thing:
            assert thing in set(definitions(tree(ROOT / name))), f"{name}:{thing}"


def definitions(node: ast.AST, prefix: str = "") -> Iterator[str]:
    """Names of classes, functions and methods: `Gateway`, `Gateway.serve`."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield f"{prefix}{child.name}"
            yield from definitions(child, f"{prefix}{child.name}.")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_its_links_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\((?!https?:|mailto:)([^)]+)\)", text(page)):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        if anchor:
            assert anchor in {slug(heading) for heading in re.findall(r"^#+ (.+)$", text(target), re.MULTILINE)}, link


def slug(heading: str) -> str:
    """A heading's anchor, as code hosts make it."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_it_names_no_folder_of_one_machine(page: Path) -> None:
    assert OF_A_MACHINE.findall(text(page)) == []
    assert str(ROOT) not in text(page)
