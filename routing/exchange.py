"""The routing document as YAML text, out and in.

Reading replaces `${NAME}` and `${NAME:-default}` by environment variables (`$${` is a plain `${`), except in
credentials, where `${NAME}` stays a reference, so that the secret is never copied. It also knows the older form
`providers: [{name, type, base_url, api_key, models: [...]}]`.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import yaml

from routing import document, rules
from routing.document import Document, DocumentError, Entry
from routing.older import is_older, modernised
from routing.readers import STORED

HEADER = """\
# The routing table of qlite. Secrets are not in it: `credential: stored` keeps what the gateway has for
# the provider of that name, `credential: ${NAME}` reads an environment variable. Fields left out have their defaults.
"""
DEPTH_LIMIT = 64
_VARIABLE = re.compile(r"\$\$\{|\$\{([^}:]*)(?::-([^}]*))?\}")
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_Dumper: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


@dataclass(frozen=True, slots=True)
class Reading:
    """What a text said: the document, secrets given in the clear by provider, and what its reader should know."""

    document: Document
    secrets: Mapping[str, str]
    notices: tuple[str, ...]

    def __repr__(self) -> str:
        return f"Reading({len(self.document['providers'])} providers, {len(self.document['routes'])} routes)"


def write(table: Document) -> str:
    """Return the document as YAML, without the fields that hold their defaults."""
    table = document.normal(table)
    shown = {
        "version": table["version"],
        "providers": [_provider_out(entry) for entry in table["providers"]],
        "routes": [_route_out(entry) for entry in table["routes"]],
    }
    return HEADER + str(yaml.dump(shown, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100))


def read(text: str, environ: Mapping[str, str]) -> Reading:
    """Read YAML text; variables come from `environ`. Raises DocumentError with a sentence."""
    raw = _parse(text)
    raw = modernised(raw) if is_older(raw) else raw
    secrets: dict[str, str] = {}
    notices: list[str] = []
    entries = raw.get("providers")
    if isinstance(entries, list):
        taken = [_credential_in(entry, environ, secrets, notices) for entry in entries]
        raw = {**raw, "providers": taken}
    return Reading(document.normal(_each_text(raw, lambda value: substitute(value, environ))), secrets, tuple(notices))


def substitute(text: str, environ: Mapping[str, str]) -> str:
    """Put variables into `text`. Raises DocumentError, which names a variable that is missing."""

    def value(found: re.Match[str]) -> str:
        if found[0] == "$${":
            return "${"
        return _variable(found[1].strip(), found[2], environ)

    return _VARIABLE.sub(value, text) if "${" in text else text


def _variable(name: str, default: str | None, environ: Mapping[str, str]) -> str:
    try:
        rules.check_variable_name(name)
    except ValueError as error:
        raise DocumentError(f"${{{name}}}: {error}") from None
    value = environ.get(name)
    if not value and default is not None:
        return default
    if value is None:
        raise DocumentError(f"the environment variable {name} is not set; ${{{name}:-...}} would give a default")
    return value


def _credential_in(entry: Any, environ: Mapping[str, str], secrets: dict[str, str], notices: list[str]) -> Any:
    """Return the provider entry with its `credential` as the document has it; secrets go to `secrets`."""
    if not isinstance(entry, dict) or not isinstance(entry.get("credential"), str):
        return entry
    given = entry["credential"].strip()
    name = substitute(str(entry.get("name", "")), environ)
    variable = _VARIABLE.fullmatch(given)
    if given == "":
        return {**entry, "credential": None}
    if given == "stored":
        return {**entry, "credential": dict(STORED)}
    if variable and variable[1] is not None and (variable[2] is None or environ.get(variable[1])):
        if not environ.get(variable[1]):
            notices.append(f"provider {name}: the environment variable {variable[1]} is not set here")
        return {**entry, "credential": {"env": variable[1]}}
    secret = substitute(given, environ)
    if secret:
        secrets[name] = secret
    return {**entry, "credential": dict(STORED) if secret else None}


def _provider_out(entry: Entry) -> Entry:
    shown: Entry = _escaped(document.without_defaults(entry, document.PROVIDER_FIELDS))
    credential = entry["credential"]
    if credential is None or "stored" in credential:
        return shown | {"credential": credential and "stored"}
    return shown | {"credential": f"${{{credential['env']}}}"}


def _route_out(entry: Entry) -> Entry:
    shown = document.without_defaults(entry, document.ROUTE_FIELDS)
    targets = [document.without_defaults(each, document.TARGET_FIELDS) for each in entry["targets"]]
    return dict(_escaped(shown | {"targets": targets}))


def _escaped(value: Any) -> Any:
    return _each_text(value, lambda text: text.replace("${", "$${"))


def _each_text(value: Any, change: Callable[[str], str]) -> Any:
    """Return `value` with every string in it changed."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, list):
        return [_each_text(each, change) for each in value]
    if isinstance(value, dict):
        return {name: _each_text(each, change) for name, each in value.items()}
    return value


# --- YAML itself


class _Strict(_Loader):  # type: ignore[misc]
    """Refuses a key given twice, of which plain YAML keeps the last. A date is text: models have such names."""

    yaml_implicit_resolvers: ClassVar[dict[Any, Any]] = {
        first: [each for each in tags if each[0] != "tag:yaml.org,2002:timestamp"]
        for first, tags in _Loader.yaml_implicit_resolvers.items()
    }

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        seen: set[Any] = set()
        for key, _ in node.value:
            if not isinstance(key.value, str):  # such as {{ NAME }}, which people mean as a variable
                raise DocumentError(f"line {key.start_mark.line + 1}: a key is not a plain word")
            if key.value in seen:
                raise DocumentError(f"line {key.start_mark.line + 1}: {key.value!r} is given twice")
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def _parse(text: str) -> dict[str, Any]:
    try:
        _refuse_depth_and_aliases(text)
        raw: Any = yaml.load(text, Loader=_Strict)  # noqa: S506  (a safe loader)
    except yaml.MarkedYAMLError as error:  # its own text would quote the line, and lines can hold secrets
        line = f" in line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise DocumentError(f"this is not YAML{line}: {error.problem}") from None
    except yaml.reader.ReaderError as error:
        before = text.encode()[: error.position]
        raise DocumentError(f"this is not YAML in line {before.count(10) + 1}: a control character") from None
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise error if isinstance(error, DocumentError) else DocumentError("this is not YAML") from None
    if not isinstance(raw, dict):
        raise DocumentError("the routing document is not a mapping with 'providers' and 'routes'")
    return raw


def _refuse_depth_and_aliases(text: str) -> None:
    """Read the events alone, which takes no stack: libyaml would build what is nested too deep until it crashes.

    A few lines of nested aliases unfold to gigabytes, so none are taken.
    """
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.AliasEvent):
            raise DocumentError(f"line {_line(event)}: YAML aliases (*name) are not supported")
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > DEPTH_LIMIT:
            raise DocumentError(f"line {_line(event)}: this is nested deeper than {DEPTH_LIMIT} levels")


def _line(event: yaml.Event) -> int:
    return event.start_mark.line + 1 if event.start_mark is not None else 0
