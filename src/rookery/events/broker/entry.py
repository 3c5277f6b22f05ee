"""An event as the journal stores it, and back."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

from rookery.events.broker.trigger import Trigger
from rookery.events.wire import CloudEvent

COLUMNS: Final = "offset, id, source, type, subject, attributes, data"
_OTHERS: Final = ("time", "datacontenttype", "dataschema")

Row = tuple[int, str, str, str, str | None, str, bytes]


@dataclass(frozen=True, slots=True)
class Entry:
    """An event that is ready to be written.

    Attributes:
        identity: 16 bytes; two events with equal ones are the same event.
        attributes: JSON of the context attributes that have no column of their own.
        triggers: the names of the triggers it goes to.
    """

    event: CloudEvent
    identity: bytes
    attributes: str
    triggers: tuple[str, ...]


def entry(event: CloudEvent, triggers: Iterable[Trigger]) -> Entry:
    """Prepare *event*, and match it against *triggers*.

    CloudEvents says that equal source and id are the same event. Type and subject count here
    too, because Ceph's event source gives all records of one request the same id.
    """
    texts = (event.source, event.id, event.type, event.subject)
    # A length before each text, so that no two different events join to the same bytes.
    joined = "".join("-;" if each is None else f"{len(each)};{each}" for each in texts)
    attributes = event.attributes()
    others = {name: attributes[name] for name in _OTHERS if name in attributes}
    return Entry(
        event=event,
        identity=blake2b(joined.encode(), digest_size=16).digest(),
        attributes=json.dumps({**others, **event.extensions}),
        triggers=tuple(each.name for each in triggers if each.filter.matches(attributes)),
    )


def read(row: Row) -> tuple[int, CloudEvent]:
    """Return the offset and the event of a *row* of COLUMNS."""
    offset, id_, source, type_, subject, attributes, data = row
    extensions: dict[str, str] = json.loads(attributes)
    return offset, CloudEvent(
        id=id_,
        source=source,
        type=type_,
        subject=subject,
        time=extensions.pop("time", None),
        datacontenttype=extensions.pop("datacontenttype", None),
        dataschema=extensions.pop("dataschema", None),
        extensions=extensions,
        data=data,
    )
