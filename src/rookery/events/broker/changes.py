"""The changes a journal takes, each a value."""

from dataclasses import dataclass

from rookery.events.broker.entry import Entry


@dataclass(frozen=True, slots=True)
class Append:
    """Take *entries* in; those already journalled are absorbed."""

    entries: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class Settle:
    """A delivery is done, and brought *replies*: both or neither become durable."""

    trigger: str
    offset: int
    replies: tuple[Entry, ...] = ()


@dataclass(frozen=True, slots=True)
class Postpone:
    """An attempt failed; the delivery goes on in *state*, not before *next_at*.

    Attributes:
        attempts: failed ones in that state.
        code: what the subscriber answered; *reason* for people, *answer* for the dead letter.
    """

    trigger: str
    offset: int
    state: int
    attempts: int
    next_at: float
    code: int
    reason: str
    answer: bytes


@dataclass(frozen=True, slots=True)
class Requeue:
    """Deliver the events at *offsets* to *trigger* again; those still pending stay as they are."""

    trigger: str
    offsets: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Drop:
    """Give up the dead letters of *trigger* at *offsets*."""

    trigger: str
    offsets: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Dismiss:
    """The dead-letter events at *offsets* are dealt with, until the same come again."""

    offsets: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Retry:
    """Dismiss the dead-letter event at *letter*, and deliver the *original* that it keeps.

    Where the journal still holds the original it is requeued, else it is taken in.
    """

    letter: int
    original: Entry


@dataclass(frozen=True, slots=True)
class Forget:
    """Delete the events at *offsets* that no delivery to any of *triggers* needs."""

    offsets: tuple[int, ...]
    triggers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Probe:
    """Write something, to learn whether writing works."""


Change = Append | Settle | Postpone | Requeue | Drop | Dismiss | Retry | Forget | Probe
