"""What the broker tells about dead letters, and what it does with them when it is told to."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from rookery.errors import RequestInvalid
from rookery.events.broker import hops, letters, reading
from rookery.events.broker.changes import Change, Dismiss, Drop, Requeue, Retry
from rookery.events.broker.entry import entry
from rookery.events.broker.exchange import NDJSON, Response, answer_json, query_of, timestamp_of
from rookery.events.broker.journal import Journal
from rookery.events.broker.letters import Letter, LetterQuery, Name
from rookery.events.broker.trigger import Trigger
from rookery.events.kept import Kept, read_deadletter
from rookery.events.wire import CloudEvent, to_document

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

    from rookery.events.broker.writer import Ticket

MAX_NAMES: Final = 500
_PAGE: Final = 32
_CHUNK: Final = 500
_LIST: Final = frozenset({"id", "trigger", "type", "subject", "reason", "since"})
_DROP: Final = frozenset({"id"})


class DeadLetters:
    """Lists, retries and drops dead letters of both kinds."""

    def __init__(self, journal: Journal, triggers: Mapping[str, Trigger]) -> None:
        """Work on *journal*, for these *triggers* by name."""
        self._journal = journal
        self._triggers = triggers

    def list(self, environ: "WSGIEnvironment") -> Response:
        """Answer `GET /deadletters`: the dead letters that are wanted, one JSON object a line.

        Raises:
            RequestInvalid: a query field cannot be used, or names no trigger.
        """
        fields = query_of(environ, _LIST)
        trigger, since = fields.get("trigger"), fields.get("since")
        if trigger is not None:
            self._check(trigger)
        if "id" in fields:
            found = self._named(_names(fields["id"]))
        else:
            found = self._all(LetterQuery(trigger, timestamp_of(since) if since else 0.0))
        wanted = _Wanted(fields.get("type", ""), fields.get("subject"), fields.get("reason", ""))
        lines = (_line(letter, kept) for letter, kept in _read(found) if wanted.has(letter, kept))
        return Response("200 OK", (("Content-Type", NDJSON),), lines)

    def retry(self, ids: str) -> Response:
        """Deliver the dead letters called *ids*, comma-separated, again.

        Raises:
            RequestInvalid: a name that is none.
        """
        return self._deal(_names(ids), self._retried)

    def retry_all(self, trigger: Trigger) -> int:
        """Deliver all dead letters of *trigger* again; return how many."""
        dead = self._journal.ask(letters.dead_offsets, trigger.name)
        return sum(
            self._journal.make(Requeue(trigger.name, tuple(dead[start : start + _CHUNK])))
            for start in range(0, len(dead), _CHUNK)
        )

    def drop(self, environ: "WSGIEnvironment") -> Response:
        """Answer `DELETE /deadletters?id=`: give up those dead letters.

        Raises:
            RequestInvalid: no name, or one that is none.
        """
        names = _names(query_of(environ, _DROP).get("id", ""))
        return self._deal(names, lambda letter: _dropped(letter.name))

    def _check(self, trigger: str) -> None:
        known = self._triggers.keys() | {name for name, _ in self._journal.ask(reading.counts)}
        if trigger not in known:
            raise RequestInvalid(
                f"there is no trigger {trigger!r}; known are {', '.join(sorted(known)) or 'none'}"
            )

    def _all(self, query: LetterQuery) -> Iterator[Letter]:
        after = Name(0)
        while page := self._journal.ask(letters.letters, after, query, _PAGE):
            yield from page
            after = page[-1].name

    def _named(self, names: Iterable[Name]) -> Iterator[Letter]:
        return (letter for name in names if (letter := self._open(name)) is not None)

    def _open(self, name: Name) -> Letter | None:
        return self._journal.ask(letters.letter_at, name)

    def _deal(self, names: Iterable[Name], decide: Callable[[Letter], Change | str]) -> Response:
        """Make of each dead letter what *decide* says: a change, or why there can be none."""
        tickets: dict[Name, Ticket] = {}
        refused: dict[Name, str] = {}
        for name in names:
            letter = self._open(name)
            decided = f"there is no dead letter {name}" if letter is None else decide(letter)
            if isinstance(decided, str):
                refused[name] = decided
            else:
                tickets[name] = self._journal.submit(decided)
        for ticket in tickets.values():
            ticket.result()
        return answer_json(
            {
                "done": [str(name) for name in tickets],
                "refused": [{"id": str(name), "message": why} for name, why in refused.items()],
            }
        )

    def _retried(self, letter: Letter) -> Change | str:
        name = letter.name
        if not name.trigger:
            return self._retried_event(letter)
        if name.trigger not in self._triggers:
            return f"trigger {name.trigger} is not configured; bring it back, or drop the letter"
        return Requeue(name.trigger, (name.offset,))

    def _retried_event(self, letter: Letter) -> Change | str:
        kept = read_deadletter(letter.event)
        if kept.problem is not None or kept.original is None:
            return f"it cannot be retried: {kept.problem}"
        entering = hops.enter(kept.original)
        if entering is None:
            return "it cannot be retried: the hops of the event it keeps are used up"
        original = entry(entering, tuple(self._triggers.values()))
        if not original.triggers:
            return "it cannot be retried: no trigger wants the event it keeps"
        return Retry(letter.name.offset, original)


@dataclass(frozen=True, slots=True)
class _Wanted:
    type_prefix: str
    subject: str | None
    reason: str

    def has(self, letter: Letter, kept: Kept) -> bool:
        event = kept.original or letter.event
        return (
            event.type.startswith(self.type_prefix)
            and (self.subject is None or event.subject == self.subject)
            and self.reason.lower() in kept.reason.lower()
        )


def _dropped(name: Name) -> Change:
    return Drop(name.trigger, (name.offset,)) if name.trigger else Dismiss((name.offset,))


def _read(found: Iterable[Letter]) -> Iterator[tuple[Letter, Kept]]:
    for letter in found:
        if letter.name.trigger:
            yield letter, Kept(letter.reason, letter.code, letter.event)
        else:
            yield letter, read_deadletter(letter.event)


def _line(letter: Letter, kept: Kept) -> bytes:
    document = {
        "id": str(letter.name),
        "trigger": letter.name.trigger or None,
        "offset": letter.name.offset,
        "code": kept.status,
        "reason": kept.reason,
        "attempts": letter.attempts,
        "answer": letter.answer.decode(errors="replace"),
        "received": _time(letter.received),
        "died": _time(letter.died),
        "event": _document(letter.event),
        # What failed: the event itself, or what a dead-letter event keeps of it.
        "original": None if kept.original is None else _document(kept.original),
        "problem": kept.problem,
    }
    return json.dumps(document, separators=(",", ":")).encode() + b"\n"


def _document(event: CloudEvent) -> dict[str, object]:
    return to_document(hops.leave(event))


def _time(seconds: float) -> str:
    time = datetime.fromtimestamp(seconds, UTC)
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _names(ids: str) -> list[Name]:
    names = [_name(each) for each in dict.fromkeys(ids.split(",")) if each]
    if not 0 < len(names) <= MAX_NAMES:
        raise RequestInvalid(f"id must name 1 to {MAX_NAMES} dead letters, not {len(names)}")
    return names


def _name(text: str) -> Name:
    trigger, _, offset = text.rpartition("/")
    if not (offset.isascii() and offset.isdecimal() and len(offset) <= 18):  # noqa: PLR2004 - int64
        raise RequestInvalid(f"a dead letter is called TRIGGER/OFFSET or OFFSET, not {text!r}")
    return Name(int(offset), trigger)
