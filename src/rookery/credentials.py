"""Secrets that may change while a process runs, and how we present ourselves to other servers.

A secret comes as a value, or in a file that is mounted, as Kubernetes mounts a Secret: a file is
read again when it changes, so that rotating a secret needs no restart.
"""

import logging
import re
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Generic, TypeVar
from urllib.parse import parse_qsl

from rookery.errors import SettingsInvalid

if TYPE_CHECKING:
    from pydantic import SecretStr

_log = logging.getLogger(__name__)

T = TypeVar("T")
Secret = Callable[[], str]
"""Returns the secret as it is now."""
Tokens = Callable[[], tuple[str, ...]]
"""Returns the bearer tokens as they are now, at least one."""

_TOKEN: Final = re.compile(r"[A-Za-z0-9._~+/-]+=*")  # RFC 6750, section 2.1
_MAX_BYTES: Final = 64 * 1024
_HIDDEN: Final = b"***"
_SECRET_CHARS: Final = 6  # shorter ones, such as a version, are no secrets
# Two changes within one tick of a file system's clock look like one.
_SETTLED_SECONDS: Final = 2.0


class SecretFile(Generic[T]):
    """What a file says; call it for what it says now. Safe for all threads.

    What cannot be used does not replace what was read before: whoever rotates a secret may write
    the file in two steps.
    """

    def __init__(self, path: Path, parse: Callable[[str], T], *, setting: str) -> None:
        """Read *path*, which *setting* names; *parse* raises ValueError for what it cannot use.

        Raises:
            SettingsInvalid: it cannot be read or used.
        """
        self._path = path
        self._parse = parse
        self._setting = setting
        self._stamp: tuple[int, ...] | None = None
        self._complained = False
        try:
            self._value = self._read()
        except (OSError, ValueError) as exc:
            raise SettingsInvalid([f"{setting}: {path} cannot be used: {_reason(exc)}"]) from None

    def __call__(self) -> T:
        """Return what *parse* makes of the text, without the blanks around it."""
        try:
            if self._seen() != self._stamp:
                self._value = self._read()
                self._complained = False
        except (OSError, ValueError) as exc:
            self._stamp = None
            if not self._complained:
                self._complained = True
                _log.warning(
                    "%s: %s cannot be used any more: %s; going on with what it said before",
                    self._setting, self._path, _reason(exc),
                )  # fmt: skip
        return self._value

    def _seen(self) -> tuple[int, ...]:
        status = self._path.stat()
        return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)

    def _read(self) -> T:
        stamp = self._seen()
        with self._path.open("rb") as file:
            data = file.read(_MAX_BYTES + 1)
        if len(data) > _MAX_BYTES:
            raise ValueError(f"it is longer than {_MAX_BYTES:,} bytes")
        value = self._parse(data.decode().strip())
        settled = time.time() - stamp[-1] / 1e9 > _SETTLED_SECONDS
        self._stamp = stamp if settled else None
        return value


def secret(path: Path, *, setting: str) -> Secret:
    """Return what gives the secret in *path*, which *setting* names: one line.

    Raises:
        SettingsInvalid: the file cannot be used.
    """
    return SecretFile(path, _one_line, setting=setting)


def tokens(value: "SecretStr | None", file: Path | None, *, setting: str) -> Tokens | None:
    """Return what gives the bearer tokens of *value* or of *file*: one a line; None without both.

    Several are accepted while one takes the place of another; the first is the one that is sent.

    Raises:
        SettingsInvalid: they are no tokens, or both are given.
    """
    if value is not None and file is not None:
        raise SettingsInvalid([f"{setting} and {setting}_FILE: set one of them"])
    if file is not None:
        return SecretFile(file, _tokens, setting=f"{setting}_FILE")
    if value is None:
        return None
    try:
        given = _tokens(value.get_secret_value())
    except ValueError as exc:
        raise SettingsInvalid([f"{setting}: {exc}"]) from None
    return lambda: given


@dataclass(frozen=True, slots=True)
class Outgoing:
    """How we present ourselves to the servers that events are sent to, and whom we believe.

    Attributes:
        tokens: the first of them goes with every request.
        tls: what certificates are checked against; the system's authorities without it.
    """

    tokens: Tokens | None = None
    tls: ssl.SSLContext | None = None

    def headers(self) -> dict[str, str]:
        """Return what goes with a request."""
        return {} if self.tokens is None else {"Authorization": f"Bearer {self.tokens()[0]}"}

    def hide(self, said: bytes, url: str) -> bytes:
        """Return what a server *said* without our tokens and the query of its *url*.

        Many repeat a request that they refuse, and what they say is logged and kept.
        """
        query = url.partition("?")[2]
        secrets = {
            *(() if self.tokens is None else self.tokens()),
            query,
            *(value for _, value in parse_qsl(query) if len(value) >= _SECRET_CHARS),
        }
        for each in sorted(secrets - {""}, key=len, reverse=True):
            said = said.replace(each.encode(), _HIDDEN)
        return said


def shown(url: str) -> str:
    """Return *url* as it may be shown: without its query, which may hold a token."""
    return url.partition("?")[0]


def believing(ca_certs: str) -> ssl.SSLContext:
    """Return what believes the authorities in *ca_certs* (PEM) beside those of the system.

    Raises:
        SettingsInvalid: they are no certificates.
    """
    context = ssl.create_default_context()
    try:
        context.load_verify_locations(cadata=ca_certs)
    except (ssl.SSLError, ValueError) as exc:
        raise SettingsInvalid([f"K_CA_CERTS must be certificates in PEM: {exc}"]) from exc
    return context


def _one_line(text: str) -> str:
    if not text or not text.isprintable():
        raise ValueError("it must hold one line of text")
    return text


def _tokens(text: str) -> tuple[str, ...]:
    found = tuple(line.strip() for line in text.splitlines() if line.strip())
    if not found or not all(_TOKEN.fullmatch(each) for each in found):
        raise ValueError("it must be a bearer token (letters, digits and -._~+/), or one a line")
    return found


def _reason(error: Exception) -> str:
    """Describe *error* without what was read, which UnicodeDecodeError would show."""
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    return "it is not UTF-8" if isinstance(error, UnicodeDecodeError) else str(error)
