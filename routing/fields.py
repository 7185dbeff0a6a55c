"""A text column that is encrypted at rest and opened only where it is read.

Instances hold the sealed text, so that lists, forms, dumps and debug pages never meet the secret, and one
row that cannot be decrypted does not take the others with it.
"""

import base64
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import models
from django.db.models.query_utils import DeferredAttribute
from django.forms import PasswordInput

PREFIX = "fernet:"  # marks sealed text, also in a database dump that is loaded again


class SecretUnreadable(Exception):
    """A stored secret cannot be decrypted with any key in QLITE_ENCRYPTION_KEYS."""


class Sealed:
    """Encrypted text. Shows nothing of itself; `open` decrypts it."""

    __slots__ = ("field", "token")

    def __init__(self, token: str, field: str) -> None:
        self.token = token
        self.field = field

    def open(self) -> str:
        """Return the secret. Raises SecretUnreadable, which names the field."""
        try:
            return _cipher().decrypt(self.token.removeprefix(PREFIX).encode()).decode()
        except (InvalidToken, UnicodeError):
            raise SecretUnreadable(
                f"{self.field} cannot be decrypted: QLITE_ENCRYPTION_KEYS lacks the key it was stored with"
            ) from None

    def renewed(self) -> "Sealed":
        """Return the same secret, sealed with the first key. Raises SecretUnreadable."""
        return seal(self.open(), self.field)

    def __str__(self) -> str:
        return ""

    def __repr__(self) -> str:
        return "Sealed(...)"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sealed) and other.token == self.token

    def __hash__(self) -> int:
        return hash(self.token)


def seal(secret: str, field: str) -> Sealed:
    """Encrypt `secret` with the first key; `field` is its name for error messages."""
    return Sealed(PREFIX + _cipher().encrypt(secret.encode()).decode(), field)


class _SealedAttribute(DeferredAttribute):
    """Reading opens, assigning seals; what lies in the instance is always sealed or ''."""

    field: "EncryptedTextField"

    def __get__(self, instance: models.Model | None, cls: Any = None) -> Any:
        value = super().__get__(instance, cls)
        return value.open() if isinstance(value, Sealed) else value

    def __set__(self, instance: models.Model, value: Any) -> None:
        instance.__dict__[self.field.attname] = self.field.sealed(value, instance.__dict__.get(self.field.attname))


class EncryptedTextField(models.TextField):  # type: ignore[type-arg]
    """Text encrypted with the first of QLITE_ENCRYPTION_KEYS, read with any of them.

    In a form it is write-only: nothing is shown, and an empty input keeps what is stored.
    """

    descriptor_class = _SealedAttribute

    def sealed(self, value: Any, current: Any = None) -> Any:
        """Seal `value`, unless it is what `current` holds already, is blank or is sealed."""
        if not isinstance(value, str) or value == "":
            return value
        if value.startswith(PREFIX):
            return Sealed(value, self._label())
        if isinstance(current, Sealed) and _holds(current, value):
            return current
        return seal(value, self._label())

    def from_db_value(self, value: str | None, expression: Any, connection: Any) -> Any:
        return Sealed(value, self._label()) if value else value

    def to_python(self, value: Any) -> Any:
        return value if isinstance(value, Sealed) else super().to_python(value)

    def pre_save(self, model_instance: models.Model, add: bool) -> Any:
        return model_instance.__dict__.get(self.attname)

    def get_prep_value(self, value: Any) -> Any:
        value = self.sealed(value)
        return value.token if isinstance(value, Sealed) else super().get_prep_value(value)

    def value_from_object(self, obj: models.Model) -> Any:
        return obj.__dict__.get(self.attname, "")

    def value_to_string(self, obj: models.Model) -> str:
        value = self.value_from_object(obj)
        return value.token if isinstance(value, Sealed) else value or ""

    def save_form_data(self, instance: models.Model, data: Any) -> None:
        if data:
            setattr(instance, self.attname, data)

    def formfield(self, **kwargs: Any) -> Any:
        return super().formfield(**{"widget": PasswordInput(attrs={"autocomplete": "off"}), **kwargs})

    def _label(self) -> str:
        return f"{self.model._meta.verbose_name} {self.verbose_name}"


def _holds(sealed: Sealed, secret: str) -> bool:
    try:
        return sealed.open() == secret
    except SecretUnreadable:
        return False


def _cipher() -> MultiFernet:
    return _cipher_of(tuple(settings.ENCRYPTION_KEYS))


@lru_cache(maxsize=4)
def _cipher_of(passphrases: tuple[str, ...]) -> MultiFernet:
    if not passphrases:
        raise ImproperlyConfigured("QLITE_ENCRYPTION_KEYS is empty, so credentials can be neither stored nor read")
    return MultiFernet([Fernet(key) for key in _keys(passphrases)])


def _keys(passphrases: tuple[str, ...]) -> Iterator[bytes]:
    for passphrase in passphrases:
        derive = HKDF(algorithm=SHA256(), length=32, salt=None, info=b"qlite field encryption")
        yield base64.urlsafe_b64encode(derive.derive(passphrase.encode()))
