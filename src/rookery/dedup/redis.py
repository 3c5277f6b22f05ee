"""A ledger in Redis, or in anything that speaks its protocol: for replicas on many machines.

Each has one key, `rookery:dedup:1:SCOPE:KEY`, whose value is `c` and the owner of a claim, or `r`
and a result; it goes when its time is over. A script makes each question one step that no other
replica comes between.
"""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl, urlsplit

from rookery.credentials import Secret
from rookery.dedup.ledger import LEASE_SECONDS, Standing
from rookery.errors import DedupInvalid, DedupUnavailable

if TYPE_CHECKING:
    from redis import Redis
    from redis.commands.core import Script

_PREFIX: Final = "rookery:dedup:1:"
_CLAIM: Final = b"c"
_RESULT: Final = b"r"
_CONNECT_SECONDS: Final = 0.5
_ANSWER_SECONDS: Final = 0.5
# Of all that the library takes from a URL; the rest could turn off what certificates are for.
_OPTIONS: Final = frozenset(
    {"client_name", "db", "password", "protocol", "ssl_ca_certs", "ssl_certfile", "ssl_keyfile",
     "username"}
)  # fmt: skip

# KEYS: the key. ARGV: our claim, the lease and the time to live in milliseconds. A time further
# ahead than anybody writes comes from a server whose clock has been set back; it counts from now.
_CLAIM_SCRIPT: Final = """
local found = redis.call('GET', KEYS[1])
if not found or found == ARGV[1] then
  redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
  return false
end
local longest = tonumber(ARGV[2])
if string.sub(found, 1, 1) == 'r' then longest = tonumber(ARGV[3]) end
local left = redis.call('PTTL', KEYS[1])
if left < 0 or left > longest then redis.call('PEXPIRE', KEYS[1], longest) end
return found
"""
# KEYS: the key. ARGV: our claim.
_GIVE_UP_SCRIPT: Final = """
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0
"""


class RedisLedger:
    """A `Ledger` in Redis. Connects when it is first asked, and anew when a connection is lost."""

    def __init__(
        self, client: "Redis", *, ttl_seconds: float, lease_seconds: float = LEASE_SECONDS
    ) -> None:
        """Remember results for *ttl_seconds*; claims hold for *lease_seconds*. See `connect`."""
        self._client = client
        self._ttl = max(1, int(ttl_seconds * 1000))
        self._lease = max(1, int(lease_seconds * 1000))
        self._mine = _CLAIM + uuid.uuid4().hex.encode()
        self._claim: Script = client.register_script(_CLAIM_SCRIPT)
        self._give_up: Script = client.register_script(_GIVE_UP_SCRIPT)

    def claim(self, key: str) -> Standing | bytes:
        """Return the result for *key*, or claim it."""
        with _translated():
            found = self._claim(keys=[_PREFIX + key], args=[self._mine, self._lease, self._ttl])
        if found is None:
            return Standing.MINE
        value = bytes(found)
        return value[1:] if value.startswith(_RESULT) else Standing.HELD

    def settle(self, key: str, result: bytes | None) -> None:
        """Remember *result*, or give up the claim."""
        with _translated():
            if result is None:
                self._give_up(keys=[_PREFIX + key], args=[self._mine])
            else:
                self._client.set(_PREFIX + key, _RESULT + result, px=self._ttl)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()


@dataclass(frozen=True, slots=True)
class _Credentials:
    """What the library asks before it logs in, for each connection anew."""

    username: str | None
    password: Secret

    def get_credentials(self) -> tuple[str] | tuple[str, str]:
        password = self.password()
        return (password,) if self.username is None else (self.username, password)


def connect(
    url: str,
    *,
    ttl_seconds: float,
    lease_seconds: float = LEASE_SECONDS,
    password: Secret | None = None,
) -> tuple[RedisLedger, str]:
    """Return a ledger at *url*, and what to call it in a log: no password. Connects to nothing yet.

    Args:
        url: where it is; certificates and host names are verified whatever it says.
        ttl_seconds: how long results are remembered.
        lease_seconds: how long claims hold.
        password: asked for each connection; the URL must have none then.

    Raises:
        DedupInvalid: the URL cannot be used, or the library is not installed.
    """
    preload()
    from redis import Redis  # noqa: PLC0415 - a quarter of a second, and optional
    from redis.backoff import NoBackoff  # noqa: PLC0415
    from redis.exceptions import ConnectionError as ConnectionLost  # noqa: PLC0415
    from redis.retry import Retry  # noqa: PLC0415

    with _is_a_url():
        client = Redis.from_url(
            url,
            socket_connect_timeout=_CONNECT_SECONDS,
            socket_timeout=_ANSWER_SECONDS,
            # Once: a connection that has been idle may be gone.
            retry=Retry(NoBackoff(), 1, supported_errors=(ConnectionLost,)),
        )
    _check_options(url)
    at = client.connection_pool.connection_kwargs
    if password is not None:
        if at.get("password"):
            raise DedupInvalid(
                "ROOKERY_DEDUP has a password in it: leave it out where "
                "ROOKERY_DEDUP_PASSWORD_FILE has one"
            )
        at["credential_provider"] = _Credentials(at.pop("username", None), password)
    with _is_a_url():
        client.connection_pool.make_connection()  # opens nothing, and looks at every option
    name = f"redis at {at.get('host', 'localhost')}:{at.get('port', 6379)}"
    return RedisLedger(client, ttl_seconds=ttl_seconds, lease_seconds=lease_seconds), name


def preload() -> None:
    """Import the library, which takes a while and opens nothing: before a snapshot, say.

    Raises:
        DedupInvalid: it is not installed.
    """
    try:
        import redis  # noqa: F401, PLC0415
    except ModuleNotFoundError as exc:
        if exc.name != "redis":
            raise
        raise DedupInvalid(
            "ROOKERY_DEDUP names a Redis, whose client library is not installed: "
            'pip install "rookery[redis]"'
        ) from exc


def _check_options(url: str) -> None:
    if not _OPTIONS.issuperset(dict(parse_qsl(urlsplit(url).query, keep_blank_values=True))):
        # Which one is not said: it may be a part of a password.
        raise DedupInvalid(
            "ROOKERY_DEDUP has an option behind its ? that is not taken; there may be "
            f"{', '.join(sorted(_OPTIONS))}. Certificates are always verified"
        )


@contextmanager
def _is_a_url() -> Iterator[None]:
    from redis.exceptions import RedisError  # noqa: PLC0415

    try:
        yield
    except (ValueError, TypeError, RedisError) as exc:
        # Its words may repeat the URL, and with it the password.
        raise DedupInvalid(
            "ROOKERY_DEDUP is no Redis URL: redis://[[USER]:PASSWORD@]HOST[:PORT][/DATABASE], "
            "or rediss:// for TLS, which options for TLS need"
        ) from exc


@contextmanager
def _translated() -> Iterator[None]:
    from redis.exceptions import RedisError  # noqa: PLC0415

    try:
        yield
    except (RedisError, OSError) as exc:
        raise DedupUnavailable(f"{type(exc).__name__}: {exc}") from exc
