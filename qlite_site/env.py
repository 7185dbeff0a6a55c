"""Typed readers of environment variables, over django-environ. A bad value stops the start with a sentence."""

import os
import re
import secrets
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from difflib import get_close_matches
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import environ
from django.core.exceptions import ImproperlyConfigured

from routing.address import AddressRefused, check_url

SHORTEST_SECRET = 16  # characters
reader = environ.Env()
_read: set[str] = set()
_SETTING = re.compile(
    r"""(?:export\s+)?([A-Za-z_]\w*)\s*=\s*"""
    r"""(?:'([^']*)'|"((?:[^"\\]|\\.)*)"|([^'"\s#].*?|))"""  # literal, with escapes, plain
    r"""(?:\s+\#.*|\s*)"""
)


def read_file(path: Path) -> None:
    """Take settings from a file of lines NAME=value where there is one; what the environment says wins.

    Quotes around a value are dropped, and a comment after it. Raises ImproperlyConfigured for any other line: a
    setting that is passed over in silence is worse than one that is wrong.
    """
    if not path.is_file():
        return
    try:
        lines = path.read_text("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ImproperlyConfigured(f"{path} cannot be read: {error}") from None
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        found = _SETTING.fullmatch(line.strip())
        if found is None:
            raise ImproperlyConfigured(f"line {number} of {path} is not of the form NAME=value")
        name, literal, escaped, plain = found.groups()
        value = re.sub(r"\\(.)", r"\1", escaped) if escaped is not None else literal if literal is not None else plain
        os.environ.setdefault(name, value)


def misspelt(names: Iterable[str]) -> list[str]:
    """Return a sentence for each of these variables that is nearly a setting of ours, and none."""
    ours = sorted(name for name in names if name.startswith("QLITE_") and name not in _read)
    near = {name: get_close_matches(name, _read, n=1, cutoff=0.88) for name in ours}
    return [f"{name} is no setting, {found[0]} is." for name, found in near.items() if found]


def text(name: str, default: str = "") -> str:
    """Read a string; blanks around it are dropped, and one that is empty is as good as none."""
    _read.add(name)
    return str(reader.str(name, default="")).strip() or default


def flag(name: str, default: bool) -> bool:
    """Read a switch: on/off, true/false, yes/no, 1/0."""
    value = text(name).lower()
    if not value:
        return default
    if value in {"1", "on", "true", "yes"}:
        return True
    if value in {"0", "off", "false", "no"}:
        return False
    raise ImproperlyConfigured(f"{name}={value!r} is neither on nor off")


def whole(name: str, default: int, *, at_least: int = 0, at_most: int | None = None) -> int:
    """Read a whole number."""
    value = text(name)
    if not value:
        return default
    try:
        number = int(value)
    except ValueError:
        raise ImproperlyConfigured(f"{name}={value!r} is not a whole number") from None
    if number < at_least:
        raise ImproperlyConfigured(f"{name}={number} is below {at_least}")
    if at_most is not None and number > at_most:
        raise ImproperlyConfigured(f"{name}={number} is above {at_most}")
    return number


def seconds(name: str, default: float, *, at_least: float = 0.0) -> float:
    """Read a duration in seconds, such as `QLITE_CONNECT_TIMEOUT=2.5`."""
    value = text(name)
    if not value:
        return default
    try:
        number = float(value)
    except ValueError:
        raise ImproperlyConfigured(f"{name}={value!r} is not a number of seconds") from None
    if not at_least <= number < float("inf"):
        raise ImproperlyConfigured(f"{name}={value} is not a duration of at least {at_least} seconds")
    return number


def one_of(name: str, default: str, *choices: str) -> str:
    """Read one of a few words, in either case."""
    value = text(name, default)
    for choice in choices:
        if value.lower() == choice.lower():
            return choice
    raise ImproperlyConfigured(f"{name}={value!r} is none of {', '.join(choices)}")


def zone(name: str, default: str) -> str:
    """Read the name of a time zone, such as `Europe/Berlin`."""
    value = text(name, default)
    try:
        ZoneInfo(value)
    except (KeyError, ValueError, OSError):  # OSError: the name of a folder, such as `Europe`
        raise ImproperlyConfigured(f"{name}={value!r} is not a time zone such as Europe/Berlin") from None
    return value


def folder(name: str, default: Path) -> Path:
    """Read the path of a folder of ours and make it where it is missing, for nobody else to read."""
    try:
        path = Path(text(name, str(default))).expanduser().resolve()
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
    except (OSError, RuntimeError) as error:  # RuntimeError: no such user after ~
        raise ImproperlyConfigured(f"{name}: the folder cannot be made: {error}") from None
    if not os.access(path, os.R_OK | os.W_OK | os.X_OK):
        raise ImproperlyConfigured(f"{name}: {path} may not be read and written by this user")
    return path


def bind(name: str, port: int) -> str:
    """Read where to listen: HOST:PORT or [HOST]:PORT, or a host alone, which then gets `port`."""
    value = text(name, "127.0.0.1")
    found = re.fullmatch(r"(?!\d+$)([^\s\[\]:/@]*|\[[0-9A-Fa-f:.]+\])(?::(\d{1,5}))?", value, re.ASCII)
    if not found or int(found[2] or port) > 65535:
        raise ImproperlyConfigured(f"{name}={value!r} is not of the form HOST:PORT")
    return f"{found[1]}:{found[2] or port}"


def reachable(bind: str) -> str:
    """Return HOST:PORT at which this machine reaches what listens on `bind`."""
    host, _, port = bind.rpartition(":")
    everywhere = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "[::]": "[::1]"}  # noqa: S104
    return f"{everywhere.get(host, host)}:{port}"


def host_of(url: str) -> str:
    """Return the host of a URL as Django's ALLOWED_HOSTS spells it."""
    host = urlsplit(url).hostname or ""
    return f"[{host}]" if ":" in host else host


def address(name: str, default: str) -> str:
    """Read a URL of ours; a slash at its end is dropped."""
    value = text(name, default).rstrip("/")
    if not re.match(r"https?://[^\s/@]", value):
        raise ImproperlyConfigured(f"{name}={value!r} does not start with http:// or https:// and a host")
    try:
        urlsplit(value).port  # noqa: B018  (what cannot be read as a number raises)
    except ValueError as error:
        raise ImproperlyConfigured(f"{name}={value!r} is not a URL: {error}") from None
    return value


def hosts(name: str, default: str) -> list[str]:
    """Read names of hosts as they are compared: without scheme and port; `.example.com` is all below it, `*` all."""
    found = words(name, default)
    for each in found:
        if not re.fullmatch(r"\*|\.?\w[\w.-]*|\[[0-9A-Fa-f:.]+\]", each):
            raise ImproperlyConfigured(f"{name}: {each!r} is no name of a host, which has no scheme, port or path")
    return found


def origins(name: str, *, also: tuple[str, ...] = ()) -> list[str]:
    """Read origins as browsers name them, `https://a.example:8443`, or words in `also`. A last slash is dropped."""
    found = [word.rstrip("/") for word in words(name)]
    for each in found:
        if each not in also and not re.fullmatch(r"[A-Za-z][\w+.-]*://[^\s/?#@]+", each, re.ASCII):
            raise ImproperlyConfigured(f"{name}: {each!r} is no origin such as https://llm.example.com")
    return found


def place(name: str) -> str:
    """Read a URL of somebody else's, "" where it is not set."""
    value = text(name)
    if value and not re.fullmatch(r"https?://[^\s@/]+(/\S*)?", value):
        raise ImproperlyConfigured(f"{name} is not the URL of a web page without a name and password in it")
    try:
        if value:
            check_url(re.split("[?#]", value)[0], allow_private=True)
    except AddressRefused as error:
        raise ImproperlyConfigured(f"{name}: {error}") from None
    return value


def mail(name: str) -> dict[str, Any]:
    """Read how mail is sent, as Django's settings: `smtp+tls://user:password@host:587`; none where it is not set."""
    value = text(name)
    if not value:
        return {}
    try:
        return dict(reader.email_url_config(value))
    except (KeyError, ValueError, environ.ImproperlyConfigured):
        raise ImproperlyConfigured(f"{name} does not begin with smtp://, smtp+tls:// or smtp+ssl://") from None


def prefix(name: str) -> str | None:
    """Read the path that we are mounted below, such as `/qlite`."""
    value = text(name).rstrip("/")
    if value and not re.fullmatch(r"/[^\s?#]*", value):
        raise ImproperlyConfigured(f"{name}={value!r} is no path that starts with /")
    return value or None


def database(name: str, default: str) -> dict[str, Any]:
    """Read the URL of a SQLite or PostgreSQL database."""
    value = text(name, default)
    # What is wrong is not quoted: it may hold a password.
    example = "sqlite:///FILE or postgres://USER:PASSWORD@HOST/NAME"
    if value.partition("://")[0] not in {"sqlite", "postgres", "postgresql"}:
        raise ImproperlyConfigured(f"{name} must be the address of a database: {example}")
    try:
        found = dict(reader.db_url_config(value))
    except ValueError:
        raise ImproperlyConfigured(f"{name} cannot be read as {example}") from None
    if found["NAME"] in {"", ":memory:"}:
        raise ImproperlyConfigured(f"{name} names no database that is there after a restart: {example}")
    return found


def token(name: str) -> str:
    """Read what callers put into a header, "" where it is not set."""
    value = text(name)
    if not re.fullmatch(r"[!-~]*", value):
        raise ImproperlyConfigured(f"{name} has a blank or a character in it that is not ASCII")
    return value


def rank_files(name: str, ours: Path) -> str:
    """Read the path of the folder with tiktoken's rank files, which would be downloaded where they are missing."""
    folder = text(name, str(ours))
    for each in ours.iterdir():
        if not each.name.isupper() and not Path(folder, each.name).is_file():
            raise ImproperlyConfigured(f"{name}: there is no {each.name} in {folder}")
    return folder


def needs(name: str, on: bool, other: str, other_on: bool) -> None:
    """Refuse a switch that does nothing without another one."""
    if on and not other_on:
        raise ImproperlyConfigured(f"{name}=on does nothing without {other}=on")


def words(name: str, default: str = "") -> list[str]:
    """Read a comma-separated list."""
    return [word for word in (part.strip() for part in text(name, default).split(",")) if word]


def networks(name: str) -> list[IPv4Network | IPv6Network]:
    """Read addresses and networks, such as `127.0.0.1,10.0.0.0/8`."""
    try:
        return [ip_network(word) for word in words(name)]
    except ValueError as error:
        raise ImproperlyConfigured(f"{name}: {error}") from None


def tags(name: str) -> list[str]:
    """Read the names of tags that records keep."""
    names = words(name)
    for each in names:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", each):
            raise ImproperlyConfigured(f"{name}: {each!r} is no name of a tag: letters, digits, '_', '.' and '-'")
    return names


def kept_secret(name: str, folder: Path, *, length: int = 50) -> str:
    """Read a secret from the environment, else from `folder`, where the first start puts a random one (mode 0600).

    Raises ImproperlyConfigured where a secret that everybody knows was given, or where the file holds none.
    """
    given = text(name)
    if given:
        return not_known(name, given)
    path = folder / name.lower()
    if not path.exists():
        _keep(path, secrets.token_urlsafe(length))
    kept = path.read_text("utf-8", errors="replace").strip()
    if len(kept) < SHORTEST_SECRET:
        raise ImproperlyConfigured(f"{path} holds no secret: put it back from a backup, or delete it to get a new one")
    return kept


def _keep(path: Path, secret: str) -> None:
    """Make a file that is there whole or not at all, on a full disk too. Of several who try, the first one's stays."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, unfinished = tempfile.mkstemp(dir=path.parent)  # mode 0600
    try:
        with os.fdopen(handle, "w") as file:
            file.write(secret)
        with suppress(FileExistsError):
            os.link(unfinished, path)
    finally:
        Path(unfinished).unlink()


def not_known(name: str, secret: str) -> str:
    """Return `secret`. Raises ImproperlyConfigured where everybody knows it or could guess it."""
    if secret.lower() in KNOWN_DEFAULTS or len(secret) < SHORTEST_SECRET:
        raise ImproperlyConfigured(
            f"{name} is a known default or shorter than {SHORTEST_SECRET} characters; choose a random one"
        )
    return secret


KNOWN_DEFAULTS = frozenset(
    {"changeme", "change-me", "change_me", "secret", "secret-key", "django-insecure", "your-secret-key"}
)
