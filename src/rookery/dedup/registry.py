"""The dedup windows by setting: `memory`, `sqlite:PATH`, `redis://…` or `rediss://…`."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rookery.credentials import secret
from rookery.dedup import redis
from rookery.dedup.leases import SharedWindow
from rookery.dedup.ledger import Ledger
from rookery.dedup.sqlite import SqliteLedger
from rookery.events.dedup import Dedup, DedupWindow

_SQLITE: Final = "sqlite:"
_REDIS: Final = ("redis://", "rediss://")


@dataclass(frozen=True, slots=True)
class WindowPlan:
    """A window that is still to be opened.

    Attributes:
        place: `memory`, `sqlite:PATH`, `redis://…` or `rediss://…`; it may hold a password.
        seconds: how long a result is remembered; with 0, in memory and not at all.
        entries: how many results memory or a file holds; Redis forgets by time alone.
        password_file: holds the password of a Redis, and is read again when it changes.
    """

    place: str
    seconds: float
    entries: int
    password_file: Path | None = None


def preload(place: str) -> None:
    """Import what a window at *place* needs; opens nothing, so a snapshot may come after it.

    Raises:
        DedupInvalid: its library is not installed.
    """
    if place.startswith(_REDIS):
        redis.preload()


@contextmanager
def open_window(plan: WindowPlan, *, scope: str, on_skipped: Callable[[], None]) -> Iterator[Dedup]:
    """Open the window of *plan*, and close it in the end.

    Args:
        plan: what to open.
        scope: what results depend on besides the key; see `SharedWindow`.
        on_skipped: called for each key that was computed because the store did not answer.

    Raises:
        DedupInvalid: a file that cannot be used, a URL that is none, a library that is missing. A
            Redis that is down is no error: it may come back.
        SettingsInvalid: the file of its password cannot be used.
    """
    ledger, name = _open_ledger(plan)
    if ledger is None:
        yield DedupWindow(plan.seconds, plan.entries)
        return
    window = SharedWindow(ledger, name=name, scope=scope, on_skipped=on_skipped)
    try:
        yield window
    finally:
        window.close()


def _open_ledger(plan: WindowPlan) -> tuple[Ledger | None, str]:
    if plan.seconds > 0 and plan.place.startswith(_SQLITE):
        path = Path(plan.place.removeprefix(_SQLITE))
        ledger = SqliteLedger(path, ttl_seconds=plan.seconds, entries=plan.entries)
        return ledger, str(path)
    if plan.seconds > 0 and plan.place.startswith(_REDIS):
        file = plan.password_file
        password = None if file is None else secret(file, setting="ROOKERY_DEDUP_PASSWORD_FILE")
        return redis.connect(plan.place, ttl_seconds=plan.seconds, password=password)
    return None, ""
