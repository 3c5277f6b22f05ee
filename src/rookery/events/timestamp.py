"""The present time as events carry it."""

from datetime import UTC, datetime


def now() -> str:
    """The time now for a `time` attribute: RFC 3339, UTC, milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
