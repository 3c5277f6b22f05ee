"""The URL that Ceph pushes to: it may hold a password, so it is shown without."""

from dataclasses import dataclass, field
from typing import Final
from urllib.parse import SplitResult, urlsplit

SCHEMES: Final = ("http", "https", "amqp", "amqps", "kafka")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A push endpoint. `str` and `repr` show it without user, password and query."""

    url: str = field(repr=False)

    @property
    def scheme(self) -> str:
        """What comes before ://, in lower case."""
        return self.url.partition("://")[0].lower()

    @property
    def has_secret(self) -> bool:
        """Whether Ceph takes it over HTTPS alone: it holds a user and a password."""
        return "@" in self.url.partition("://")[2].partition("/")[0]

    def __str__(self) -> str:
        parts = _split(self.url)
        if parts is None:
            return f"{self.scheme}://…"
        user = "***@" if self.has_secret else ""
        query = "?…" if parts.query else ""
        host = parts.netloc.rpartition("@")[2]
        return f"{parts.scheme}://{user}{host}{parts.path}{query}"


def problem_of(url: str) -> str | None:
    """Say what is wrong with *url* as a push endpoint, without repeating what may be secret."""
    parts = _split(url)
    if parts is None or parts.scheme not in SCHEMES or not parts.hostname:
        return f"must be a URL that begins with {', '.join(f'{one}://' for one in SCHEMES)}"
    if parts.fragment:
        return "must have no #fragment"
    if any(character.isspace() or ord(character) < ord(" ") for character in url):
        return "must hold no blanks"
    return None


def _split(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return None
    return parts
