"""A Trigger: which events go to which subscriber, and how; read from Knative's own YAML."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

import yaml

from rookery.credentials import shown
from rookery.errors import TriggersInvalid
from rookery.events.broker.backoff import EXPONENTIAL, LINEAR, Backoff, parse_duration
from rookery.events.broker.document import Section
from rookery.events.broker.filters import EVERYTHING, Filter, parse_spec
from rookery.events.wire import CloudEvent

CONCURRENCY: Final = "rookery.dev/concurrency"
ORDERING: Final = "rookery.dev/ordering"

_API: Final = "eventing.knative.dev/"
_NAME: Final = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
_IGNORED_KINDS: Final = frozenset({"Broker"})  # often in the same file; this is the broker


@dataclass(frozen=True, slots=True)
class Delivery:
    """How hard to try, and what to do in the end.

    Attributes:
        retry: attempts after the first one.
        timeout: seconds for one attempt, the whole answer included.
        dead_letter: the URL that takes events which failed for good, or None to keep them.
        structured: send structured mode instead of binary mode.
        replies: ask for reply events and take them in; else any 2xx is only an acknowledgment.
        patient: while nothing gets through, try one event at a time instead of all of them.
        notice: makes, of an event that failed for good and the reason, an event that says so; it
            enters the broker. None, or None made, for none.
    """

    retry: int = 10
    backoff: Backoff = field(default_factory=Backoff)
    timeout: float = 60.0
    dead_letter: str | None = None
    structured: bool = False
    replies: bool = True
    patient: bool = False
    notice: Callable[[CloudEvent, str], CloudEvent | None] | None = None


@dataclass(frozen=True, slots=True)
class Trigger:
    """Events that pass *filter* are POSTed to *subscriber*.

    Attributes:
        concurrency: attempts in flight at the same time; 1 when *ordered*.
        ordered: one event at a time, in journal order; a failing one holds up the next.
    """

    name: str
    subscriber: str
    filter: Filter = EVERYTHING
    delivery: Delivery = field(default_factory=Delivery)
    concurrency: int = 8
    ordered: bool = False


def parse_triggers(text: str) -> tuple[Trigger, ...]:
    """Read every `eventing.knative.dev/v1` Trigger of *text*, YAML of one or more documents.

    Raises:
        TriggersInvalid: with every problem of every document.
    """
    try:
        documents = [each for each in yaml.safe_load_all(text) if each is not None]
    except yaml.YAMLError as exc:
        raise TriggersInvalid([f"not YAML: {' '.join(str(exc).split())}"]) from exc
    problems: list[str] = []
    triggers: list[Trigger] = []
    for number, document in enumerate(documents, start=1):
        section = Section.of(document, f"document {number}:", problems)
        if section.fields.get("kind") not in _IGNORED_KINDS and section.fields:
            triggers.append(_parse(section))
    names = [trigger.name for trigger in triggers]
    problems.extend(
        f"two triggers are named {name!r}; a name is the trigger's place in the journal"
        for name in sorted({name for name in names if name and names.count(name) > 1})
    )
    if problems:
        raise TriggersInvalid(problems)
    return tuple(triggers)


def _parse(document: Section) -> Trigger:
    metadata = document.section("metadata")
    name = metadata.text("name") or ""
    if not _NAME.fullmatch(name):
        metadata.problem("name", f"must be a lowercase DNS name, not {name!r}")
    # From here on the name says more than the document's number.
    root = Section(
        document.fields, f"trigger {name}:" if name else document.path, document.problems
    )
    version, kind = root.fields.get("apiVersion"), root.fields.get("kind")
    if kind != "Trigger" or not str(version).startswith(_API):
        root.problems.append(
            f"{root.path} must be apiVersion {_API}v1, kind Trigger; it is {version!r}, {kind!r}"
        )
    spec = root.section("spec")
    annotations = root.section("metadata").section("annotations")
    ordered = annotations.choice(ORDERING, "unordered", ("ordered", "unordered")) == "ordered"
    concurrency = annotations.number(CONCURRENCY, 8, lowest=1, highest=256)
    return Trigger(
        name=name,
        subscriber=_destination(spec.section("subscriber")) or "",
        filter=parse_spec(spec),
        delivery=_delivery(spec.section("delivery")),
        concurrency=1 if ordered else concurrency,
        ordered=ordered,
    )


def _delivery(section: Section) -> Delivery:
    policy = section.choice("backoffPolicy", EXPONENTIAL, (LINEAR, EXPONENTIAL))
    standard = Backoff()
    sink = "deadLetterSink"
    timeout = section.parsed("timeout", Delivery().timeout, parse_duration)
    if timeout <= 0:
        section.problem("timeout", "must be longer than nothing")
    return Delivery(
        retry=section.number("retry", Delivery().retry, lowest=0, highest=1000),
        backoff=Backoff(
            policy=LINEAR if policy == LINEAR else EXPONENTIAL,
            delay=section.parsed("backoffDelay", standard.delay, parse_duration),
            retry_after_maximum=section.parsed(
                "retryAfterMax", standard.retry_after_maximum, parse_duration
            ),
        ),
        timeout=timeout,
        dead_letter=_destination(section.section(sink)) if section.fields.get(sink) else None,
        structured=section.choice("format", "binary", ("binary", "json")) == "json",
    )


def _destination(section: Section) -> str | None:
    if section.fields.get("ref") is not None and section.fields.get("uri") is None:
        section.problem("ref", "cannot be resolved without a cluster; give the address as uri")
        return None
    uri = section.required("uri")
    try:
        parts = urlsplit(uri)
        good = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if good and "@" in parts.netloc:
        # Logs, dead letters and GET /triggers name the URL.
        section.problem("uri", "must hold no user or password")
        return None
    if uri and not good:
        section.problem("uri", f"must be an http:// or https:// URL, not {shown(uri)!r}")
    return uri
