"""A client of a running broker, for the commands that follow results or ask for a replay."""

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from http import HTTPStatus
from typing import Final, Literal
from urllib.parse import urlencode

import urllib3

from rookery.credentials import Outgoing
from rookery.errors import RequestInvalid, SinkUnavailable
from rookery.events.broker.exchange import AFTER_HEADER
from rookery.events.wire import STRUCTURED, CloudEvent, from_http

_PAUSE: Final = 0.25
_CONNECT_SECONDS: Final = 2.0
_ANSWER_SECONDS: Final = 30.0
_SERVER_ERROR: Final = 500
_TOO_MANY: Final = 429
_BAD_REQUEST: Final = 400
# So many names of dead letters fit into a request line.
_IDS: Final = 50
# Threads of one command that ask at the same time; one more would only cost its connection.
_FOLLOWERS: Final = 4

Position = int | Literal["now"]


@dataclass(frozen=True, slots=True)
class Address:
    """Where a broker is, such as http://127.0.0.1:8081, and how we present ourselves there."""

    url: str
    outgoing: Outgoing = field(default_factory=Outgoing)
    pool: urllib3.PoolManager = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Make room for a connection of each thread that follows; none is opened yet."""
        pool = urllib3.PoolManager(maxsize=_FOLLOWERS, ssl_context=self.outgoing.tls)
        object.__setattr__(self, "pool", pool)


Place = str | Address
"""A broker; its URL alone is enough where it asks for no token."""


def head(broker: Place) -> int:
    """Return the offset of the newest event; `follow` after it sees what comes later.

    Raises:
        SinkUnavailable: the broker does not answer.
    """
    return _page(broker, {"after": "now", "limit": "0"})[0]


def follow(  # noqa: PLR0913 - one keyword each reads best
    broker: Place,
    *,
    after: Position,
    type_prefix: str = "",
    subject: str | None = None,
    wait: float = 5.0,
    stop: Callable[[], bool],
) -> Iterator[tuple[int, CloudEvent]]:
    """Yield offset and event of everything after the offset *after*, as it comes, until *stop*.

    While the broker is away, it is asked again and again: a restart loses nothing.

    Args:
        broker: where it is.
        after: an offset; 0 is the oldest event in the journal, "now" only what comes.
        type_prefix: only events whose type begins so.
        subject: only events with this subject.
        wait: seconds one request may wait at the broker; *stop* is looked at in between.
        stop: when it returns true, the iteration ends.

    Raises:
        RequestInvalid: the broker refuses the question.
    """
    fields = {"type": type_prefix, "wait": str(wait)}
    if subject is not None:
        fields["subject"] = subject
    while not stop():
        try:
            last, events = _page(broker, {**fields, "after": str(after)}, wait)
        except SinkUnavailable:
            time.sleep(_PAUSE)
            continue
        yield from events
        after = last


def read(
    broker: Place, *, after: Position, type_prefix: str = "", subject: str | None = None
) -> Iterator[tuple[int, CloudEvent]]:
    """Yield offset and event of everything after the offset *after*, up to the newest.

    Raises:
        SinkUnavailable: the broker does not answer.
        RequestInvalid: it refuses the question.
    """
    newest = head(broker)
    last = newest if after == "now" else after
    fields = {"type": type_prefix} | ({} if subject is None else {"subject": subject})
    while last < newest:
        last, events = _page(broker, {**fields, "after": str(last)})
        yield from events


def replay(broker: Place, trigger: str, **what: str) -> int:
    """Deliver to *trigger* again *what* is one of after, since, deadletters; return how many.

    Raises:
        SinkUnavailable: the broker does not answer.
        RequestInvalid: it refuses.
    """
    response = _ask("POST", broker, "/replay", {"trigger": trigger, **what})
    return int(json.loads(response.data)["queued"])


def triggers(broker: Place) -> list[dict[str, object]]:
    """Return what the broker says about its triggers.

    Raises:
        SinkUnavailable: the broker does not answer.
    """
    listed: list[dict[str, object]] = json.loads(_ask("GET", broker, "/triggers", {}).data)[
        "triggers"
    ]
    return listed


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter, as the broker tells it.

    Attributes:
        id: its name: TRIGGER/OFFSET for a delivery that failed, OFFSET for a dead-letter event.
        code: the HTTP status that refused it; 0 where there was none.
        answer: the beginning of what the subscriber said.
        attempts: failed ones; 0 for a dead-letter event.
        received: when the event came, RFC 3339.
        died: when it was given up.
        event: what was not delivered, or the dead-letter event.
        original: what failed, as a structured event; None where no event can be read.
        problem: why it cannot be retried; None where it can.
    """

    id: str
    trigger: str | None
    offset: int
    code: int
    reason: str
    answer: str
    attempts: int
    received: str
    died: str
    event: Mapping[str, object]
    original: Mapping[str, object] | None
    problem: str | None


@dataclass(frozen=True, slots=True)
class Dealt:
    """What became of dead letters: the ids of those *done*, and why others were *refused*."""

    done: tuple[str, ...]
    refused: Mapping[str, str]


def dead_letters(broker: Place, **wanted: str) -> Iterator[Letter]:
    """Yield the dead letters that are *wanted*: by id, trigger, type, subject, reason or since.

    Raises:
        SinkUnavailable: the broker does not answer, or not to the end.
        RequestInvalid: it refuses the question.
    """
    response = _ask("GET", broker, "/deadletters", wanted, stream=True)
    try:
        for line in response:
            told = json.loads(line)
            yield Letter(**{field.name: told[field.name] for field in fields(Letter)})
    except urllib3.exceptions.HTTPError as exc:
        raise SinkUnavailable(f"the broker at {_at(broker).url} broke off: {exc}") from exc
    except (ValueError, LookupError, TypeError) as exc:
        raise RequestInvalid(
            f"{_at(broker).url} does not answer as a broker of this release"
        ) from exc
    finally:
        response.close()


def retry(broker: Place, ids: Sequence[str]) -> Dealt:
    """Deliver the dead letters *ids* again.

    Raises:
        SinkUnavailable: the broker does not answer; some may be queued.
        RequestInvalid: it refuses.
    """
    return _deal("POST", broker, "/replay", ids)


def drop(broker: Place, ids: Sequence[str]) -> Dealt:
    """Give up the dead letters *ids*.

    Raises:
        SinkUnavailable: the broker does not answer; some may be gone.
        RequestInvalid: it refuses.
    """
    return _deal("DELETE", broker, "/deadletters", ids)


def _deal(method: str, broker: Place, path: str, ids: Sequence[str]) -> Dealt:
    done: list[str] = []
    refused: dict[str, str] = {}
    for start in range(0, len(ids), _IDS):
        some = ",".join(ids[start : start + _IDS])
        answer = json.loads(_ask(method, broker, path, {"id": some}).data)
        done += answer["done"]
        refused |= {each["id"]: each["message"] for each in answer["refused"]}
    return Dealt(tuple(done), refused)


def _page(
    broker: Place, fields: Mapping[str, str], wait: float = 0.0
) -> tuple[int, list[tuple[int, CloudEvent]]]:
    response = _ask("GET", broker, "/events", fields, wait)
    lines = [json.loads(line) for line in response.data.splitlines()]
    return int(response.headers[AFTER_HEADER]), [
        (line["offset"], _event(line["event"])) for line in lines
    ]


def _event(document: object) -> CloudEvent:
    (event,) = from_http({"Content-Type": STRUCTURED}, json.dumps(document).encode())
    return event


def _ask(  # noqa: PLR0913
    method: str,
    broker: Place,
    path: str,
    fields: Mapping[str, str],
    wait: float = 0.0,
    *,
    stream: bool = False,
) -> urllib3.BaseHTTPResponse:
    place = _at(broker)
    url = f"{place.url}{path}"
    request = urllib3.request if isinstance(broker, str) else place.pool.request
    try:
        response = request(
            method,
            f"{url}?{urlencode(fields)}",
            headers=place.outgoing.headers(),
            retries=False,
            preload_content=not stream,
            timeout=urllib3.Timeout(connect=_CONNECT_SECONDS, read=wait + _ANSWER_SECONDS),
        )
    except urllib3.exceptions.HTTPError as exc:
        raise SinkUnavailable(f"no broker answers at {url}: {exc}") from exc
    if response.status == HTTPStatus.UNAUTHORIZED:
        raise RequestInvalid(
            f"the broker at {url} wants a token that it accepts: set ROOKERY_SINK_TOKEN"
        )
    if response.status >= _SERVER_ERROR or response.status == _TOO_MANY:
        raise SinkUnavailable(f"the broker at {url} answers {response.status}; try again")
    if response.status >= _BAD_REQUEST:
        raise RequestInvalid(f"the broker at {url} refuses: {_message(response)}")
    return response


def _at(broker: Place) -> Address:
    return Address(broker) if isinstance(broker, str) else broker


def _message(response: urllib3.BaseHTTPResponse) -> str:
    try:
        return str(json.loads(response.data)["message"])
    except (ValueError, LookupError, TypeError):
        return f"status {response.status}; is it a broker?"
