"""A ledger in Redis, or in anything that speaks its protocol: for replicas on many machines.

Each has one key, `rookery:dedup:1:SCOPE:KEY`, whose value is `c` and the owner of a claim, or `r`
and a result; it goes when its time is over. A script makes each question one step that no other
replica comes between.
"""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

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


def connect(
    url: str, *, ttl_seconds: float, lease_seconds: float = LEASE_SECONDS
) -> tuple[RedisLedger, str]:
    """Return a ledger at *url*, and what to call it in a log: no password. Connects to nothing yet.

    Raises:
        DedupInvalid: the URL cannot be used, or the library is not installed.
    """
    preload()
    from redis import Redis  # noqa: PLC0415 - a quarter of a second, and optional
    from redis.backoff import NoBackoff  # noqa: PLC0415
    from redis.exceptions import ConnectionError as ConnectionLost  # noqa: PLC0415
    from redis.retry import Retry  # noqa: PLC0415

    try:
        client = Redis.from_url(
            url,
            socket_connect_timeout=_CONNECT_SECONDS,
            socket_timeout=_ANSWER_SECONDS,
            # Once: a connection that has been idle may be gone.
            retry=Retry(NoBackoff(), 1, supported_errors=(ConnectionLost,)),
        )
    except (ValueError, TypeError) as exc:
        # Its words may repeat the URL, and with it the password.
        raise DedupInvalid(
            "ROOKERY_DEDUP is no Redis URL: redis://[[USER]:PASSWORD@]HOST[:PORT][/DATABASE], "
            "or rediss:// for TLS"
        ) from exc
    at = client.get_connection_kwargs()
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


@contextmanager
def _translated() -> Iterator[None]:
    from redis.exceptions import RedisError  # noqa: PLC0415

    try:
        yield
    except (RedisError, OSError) as exc:
        raise DedupUnavailable(f"{type(exc).__name__}: {exc}") from exc
