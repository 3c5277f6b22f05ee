"""When an event is sent again, and after how long: pure decisions, shared by sinks and sources.

Knative's delivery contract, data-plane specification: 404, 408, 409, 429, every 5xx and every
connection error are tried again; what is left of 3xx and 4xx is final.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

_RETRIED: Final = frozenset({404, 408, 409, 429})
_SERVER_ERROR: Final = 500


def is_retried(status: int) -> bool:
    """Whether an answer with *status* says: try again."""
    return status in _RETRIED or status >= _SERVER_ERROR


def parse_retry_after(value: str | None, *, now: datetime) -> float | None:
    """Return the seconds a Retry-After header asks for; None when there is none to obey.

    RFC 9110, section 10.2.3: seconds, or an HTTP date.
    """
    if value is None:
        return None
    text = value.strip()
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return max(0.0, (moment - now).total_seconds())
    except (ValueError, OverflowError):  # no date, or one that no calendar here reaches
        return None


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Exponential backoff with full jitter, bounded in attempts and in time.

    Attributes:
        attempts: how often to try at most, the first time included.
        base_seconds: the ceiling of the first pause; it doubles with every attempt.
        cap_seconds: the longest pause, whatever the doubling or the server asks for.
        total_seconds: no attempt starts later than this after the first.
    """

    attempts: int = 5
    base_seconds: float = 0.2
    cap_seconds: float = 5.0
    total_seconds: float = 10.0

    def ceiling(self, failures: int) -> float:
        """Return the longest pause in seconds after *failures* (at least 1) in a row."""
        # 2.0 ** 1024 overflows a float; the cap has long been reached by then.
        return min(self.cap_seconds, self.base_seconds * 2.0 ** min(failures - 1, 64))

    def pause(
        self,
        failures: int,
        *,
        elapsed: float,
        fraction: float,
        retry_after: float | None = None,
    ) -> float | None:
        """Return the seconds to wait before the next attempt; None to give up.

        Args:
            failures: attempts that failed so far, at least 1.
            elapsed: seconds since the first attempt began.
            fraction: a random number in [0, 1): full jitter spreads clients that failed together.
            retry_after: what the server asked for; it is the least we wait, up to the cap.
        """
        if failures >= self.attempts:
            return None
        seconds = self.ceiling(failures) * fraction
        if retry_after is not None:
            seconds = max(seconds, min(retry_after, self.cap_seconds))
        return None if elapsed + seconds > self.total_seconds else seconds
