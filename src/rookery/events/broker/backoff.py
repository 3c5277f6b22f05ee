"""When to try again: Knative's linear and exponential backoff, and ISO 8601 durations."""

import re
from dataclasses import dataclass
from typing import Final, Literal

Policy = Literal["linear", "exponential"]

LINEAR: Final = "linear"
EXPONENTIAL: Final = "exponential"

_NUMBER: Final = r"(\d+(?:[.,]\d+)?)"
_DURATION: Final = re.compile(
    rf"P(?:{_NUMBER}W)?(?:{_NUMBER}D)?(?:T(?:{_NUMBER}H)?(?:{_NUMBER}M)?(?:{_NUMBER}S)?)?"
)
_SECONDS: Final = (7 * 86_400, 86_400, 3_600, 60, 1)
# Past this, 2**n no longer matters: any delay has long reached its maximum.
_LARGEST_EXPONENT: Final = 64


@dataclass(frozen=True, slots=True)
class Backoff:
    """The wait before each retry, in seconds; without jitter, so that it can be foretold.

    Attributes:
        policy: `exponential` doubles the delay each time, `linear` adds it each time.
        delay: the wait before the first retry.
        maximum: no wait is longer.
        retry_after_maximum: a Retry-After longer than this is cut to it; 0 ignores the header.
    """

    policy: Policy = EXPONENTIAL
    delay: float = 0.2
    maximum: float = 60.0
    retry_after_maximum: float = 60.0

    def wait(self, failures: int, retry_after: float | None = None) -> float:
        """Return the wait after so many *failures* (1 or more) of one event.

        Where the subscriber asked for a *retry_after*, the longer of the two.
        """
        if self.policy == LINEAR:
            own = self.delay * failures
        else:
            own = self.delay * 2.0 ** min(failures - 1, _LARGEST_EXPONENT)
        return max(min(own, self.maximum), min(retry_after or 0.0, self.retry_after_maximum))

    @property
    def longest(self) -> float:
        """The longest wait this can ever give."""
        return max(self.maximum, self.retry_after_maximum)


def parse_duration(text: str) -> float:
    """Seconds of an ISO 8601 duration, such as `PT0.2S` or `P1DT2H`.

    Raises:
        ValueError: it is none, or uses years or months, whose length is not fixed.
    """
    match = _DURATION.fullmatch(text)
    if match is None or text.endswith(("P", "T")):
        raise ValueError(f"must be an ISO 8601 duration such as PT0.2S or PT1M, not {text!r}")
    return sum(
        float(number.replace(",", ".")) * seconds
        for number, seconds in zip(match.groups(), _SECONDS, strict=True)
        if number is not None
    )
