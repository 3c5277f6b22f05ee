"""A client of a running broker, for the commands that follow results or ask for a replay."""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Final, Literal
from urllib.parse import urlencode

import urllib3

from rookery.errors import RequestInvalid, SinkUnavailable
from rookery.events.broker.exchange import AFTER_HEADER
from rookery.events.wire import STRUCTURED, CloudEvent, from_http

_PAUSE: Final = 0.25
_CONNECT_SECONDS: Final = 2.0
_ANSWER_SECONDS: Final = 30.0
_SERVER_ERROR: Final = 500
_TOO_MANY: Final = 429
_BAD_REQUEST: Final = 400

Position = int | Literal["now"]


def head(base_url: str) -> int:
    """Return the offset of the newest event; `follow` after it sees what comes later.

    Raises:
        SinkUnavailable: the broker does not answer.
    """
    return _page(base_url, {"after": "now", "limit": "0"})[0]


def follow(  # noqa: PLR0913 - one keyword each reads best
    base_url: str,
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
        base_url: of the broker, such as http://127.0.0.1:8081.
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
            last, events = _page(base_url, {**fields, "after": str(after)}, wait)
        except SinkUnavailable:
            time.sleep(_PAUSE)
            continue
        yield from events
        after = last


def read(
    base_url: str, *, after: Position, type_prefix: str = "", subject: str | None = None
) -> Iterator[tuple[int, CloudEvent]]:
    """Yield offset and event of everything after the offset *after*, up to the newest.

    Raises:
        SinkUnavailable: the broker does not answer.
        RequestInvalid: it refuses the question.
    """
    newest = head(base_url)
    last = newest if after == "now" else after
    fields = {"type": type_prefix} | ({} if subject is None else {"subject": subject})
    while last < newest:
        last, events = _page(base_url, {**fields, "after": str(last)})
        yield from events


def replay(base_url: str, trigger: str, **what: str) -> int:
    """Deliver to *trigger* again *what* is one of after, since, deadletters; return how many.

    Raises:
        SinkUnavailable: the broker does not answer.
        RequestInvalid: it refuses.
    """
    response = _ask("POST", f"{base_url}/replay", {"trigger": trigger, **what})
    return int(json.loads(response.data)["queued"])


def triggers(base_url: str) -> list[dict[str, object]]:
    """Return what the broker says about its triggers.

    Raises:
        SinkUnavailable: the broker does not answer.
    """
    listed: list[dict[str, object]] = json.loads(_ask("GET", f"{base_url}/triggers", {}).data)[
        "triggers"
    ]
    return listed


def _page(
    base_url: str, fields: Mapping[str, str], wait: float = 0.0
) -> tuple[int, list[tuple[int, CloudEvent]]]:
    response = _ask("GET", f"{base_url}/events", fields, wait)
    lines = [json.loads(line) for line in response.data.splitlines()]
    return int(response.headers[AFTER_HEADER]), [
        (line["offset"], _event(line["event"])) for line in lines
    ]


def _event(document: object) -> CloudEvent:
    (event,) = from_http({"Content-Type": STRUCTURED}, json.dumps(document).encode())
    return event


def _ask(
    method: str, url: str, fields: Mapping[str, str], wait: float = 0.0
) -> urllib3.BaseHTTPResponse:
    try:
        response = urllib3.request(
            method,
            f"{url}?{urlencode(fields)}",
            retries=False,
            timeout=urllib3.Timeout(connect=_CONNECT_SECONDS, read=wait + _ANSWER_SECONDS),
        )
    except urllib3.exceptions.HTTPError as exc:
        raise SinkUnavailable(f"no broker answers at {url}: {exc}") from exc
    if response.status >= _SERVER_ERROR or response.status == _TOO_MANY:
        raise SinkUnavailable(f"the broker at {url} answers {response.status}; try again")
    if response.status >= _BAD_REQUEST:
        raise RequestInvalid(f"the broker at {url} refuses: {_message(response)}")
    return response


def _message(response: urllib3.BaseHTTPResponse) -> str:
    try:
        return str(json.loads(response.data)["message"])
    except (ValueError, LookupError, TypeError):
        return f"status {response.status}; is it a broker?"
