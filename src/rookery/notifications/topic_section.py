"""The part of a file's entry that says where Ceph pushes, and how."""

import re
from collections.abc import Callable
from typing import Final

from rookery.events.broker.document import Section, kind
from rookery.notifications.capabilities import LIMITS
from rookery.notifications.endpoint import Endpoint, problem_of
from rookery.notifications.notification import Topic
from rookery.notifications.topic_attributes import NAMES

TOPIC_FIELDS: Final = frozenset(
    {
        "topic",
        "endpoint",
        "persistent",
        "cloudevents",
        "opaque",
        "verify_ssl",
        "ack",
        "exchange",
        "use_ssl",
        "ca_location",
        "mechanism",
        *LIMITS,
    }
)

_AMQP: Final = frozenset({"amqp", "amqps"})
_HTTP: Final = frozenset({"http", "https"})
_KAFKA: Final = frozenset({"kafka"})
# field -> the schemes that have it
_BELONGS: Final = {
    "cloudevents": _HTTP,
    "exchange": _AMQP,
    "ack": _AMQP | _KAFKA,
    "use_ssl": _KAFKA,
    "mechanism": _KAFKA,
    "ca_location": _AMQP | _KAFKA,
}
_ACKS: Final = {"amqp": ("none", "broker", "routable"), "kafka": ("none", "broker")}
_MECHANISMS: Final = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "GSSAPI", "OAUTHBEARER")
# What Ceph would read as an attribute of its own, out of a text that it keeps unescaped.
_INJECTED: Final = re.compile(rf"&(?:{'|'.join(map(re.escape, sorted(NAMES)))})=")
_A_YEAR: Final = 366 * 86_400


def read_topic_section(
    section: Section, name: str, substituted: Callable[[str], str]
) -> Topic | None:
    """Read the topic *name* of one entry; its problems go where the section's go."""
    if section.fields.get("endpoint") is None:
        section.problem("endpoint", "is missing")
    url = _secret(section, "endpoint", substituted)
    if url is None:
        return None
    if (problem := problem_of(url)) is not None:
        section.problem("endpoint", problem)
        return None
    endpoint = Endpoint(url)
    for field, schemes in _BELONGS.items():
        if field in section.fields and endpoint.scheme not in schemes:
            section.problem(field, f"is for {' and '.join(sorted(schemes))} endpoints")
    exchange = section.text("exchange")
    if endpoint.scheme in _AMQP and exchange is None:
        section.problem("exchange", "is missing: Ceph publishes to an exchange that exists")
    persistent = _flag(section, "persistent", default=False)
    return Topic(
        name,
        endpoint,
        persistent=persistent,
        cloudevents=_flag(section, "cloudevents", default=False),
        opaque=_secret(section, "opaque", substituted) or "",
        verify_ssl=_flag(section, "verify_ssl", default=True),
        ack=_choice(section, "ack", _ACKS.get(endpoint.scheme.removesuffix("s"), ())),
        exchange=_plain(section, "exchange"),
        use_ssl=_flag(section, "use_ssl", default=False),
        ca_location=_plain(section, "ca_location"),
        mechanism=_choice(section, "mechanism", _MECHANISMS),
        time_to_live=_limit(section, "time_to_live", persistent=persistent),
        max_retries=_limit(section, "max_retries", persistent=persistent),
        retry_sleep_duration=_limit(section, "retry_sleep_duration", persistent=persistent),
    )


def _secret(section: Section, field: str, substituted: Callable[[str], str]) -> str | None:
    """Read a text that may hold a secret; None is a problem that was told, or nothing."""
    text = section.text(field)
    if text is None:
        return None
    try:
        value = substituted(text)
    except ValueError as exc:
        section.problem(field, str(exc))
        return None
    if _INJECTED.search(value):
        section.problem(field, "holds &NAME= of an attribute, which Ceph would read as its setting")
    return value


def _plain(section: Section, field: str) -> str | None:
    value = section.text(field)
    if value is not None and "&" in value:
        section.problem(field, "must hold no &")
    return value


def _choice(section: Section, field: str, allowed: tuple[str, ...]) -> str | None:
    if field not in section.fields or not allowed:
        return None
    return section.choice(field, allowed[0], allowed)


def _flag(section: Section, field: str, *, default: bool) -> bool:
    value = section.fields.get(field, default)
    if isinstance(value, bool):
        return value
    section.problem(field, f"must be true or false, not {kind(value)}")
    return default


def _limit(section: Section, field: str, *, persistent: bool) -> int | None:
    if field not in section.fields:
        return None
    if not persistent:
        section.problem(field, "needs persistent: true; nothing else is retried")
    return section.number(field, 0, lowest=0, highest=_A_YEAR)
