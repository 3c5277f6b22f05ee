"""A topic as Ceph's attributes, and back."""

import json
from collections.abc import Mapping
from typing import Final

from rookery.notifications.capabilities import LIMITS
from rookery.notifications.endpoint import Endpoint
from rookery.notifications.notification import Topic

ENDPOINT: Final = "push-endpoint"
OPAQUE: Final = "OpaqueData"
_ACK: Final = {"amqp": "amqp-ack-level", "amqps": "amqp-ack-level", "kafka": "kafka-ack-level"}
# Ceph keeps attributes as one unescaped query string and reads them from it again.
NAMES: Final = frozenset(
    {
        ENDPOINT,
        OPAQUE,
        "persistent",
        "cloudevents",
        "verify-ssl",
        "amqp-exchange",
        "amqp-ack-level",
        "kafka-ack-level",
        "use-ssl",
        "ca-location",
        "mechanism",
        *LIMITS,
    }
)


def write_topic(topic: Topic) -> dict[str, str]:
    """Return *topic* as the attributes of CreateTopic, which replaces all that were there."""
    kafka = topic.endpoint.scheme == "kafka"
    optional = {
        OPAQUE: topic.opaque or None,
        "cloudevents": "true" if topic.cloudevents else None,
        "amqp-exchange": topic.exchange,
        _ACK.get(topic.endpoint.scheme, ""): topic.ack,
        "use-ssl": _flag(topic.use_ssl) if kafka else None,
        "ca-location": topic.ca_location,
        "mechanism": topic.mechanism,
        "time_to_live": _number(topic.time_to_live),
        "max_retries": _number(topic.max_retries),
        "retry_sleep_duration": _number(topic.retry_sleep_duration),
    }
    return {
        ENDPOINT: topic.endpoint.url,
        "persistent": _flag(topic.persistent),
        "verify-ssl": _flag(topic.verify_ssl),
        **{name: value for name, value in optional.items() if value is not None},
    }


def endpoint_of(attributes: Mapping[str, str]) -> Mapping[str, object]:
    """Return the `EndPoint` among a topic's *attributes*, parsed; empty where it is none."""
    try:
        # Ceph escapes the newline of opaque data here, and nothing else that is strictly wrong.
        found = json.loads(attributes.get("EndPoint", "{}"), strict=False)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def read_topic(name: str, attributes: Mapping[str, str]) -> Topic:
    """Return the topic that GetTopicAttributes describes as *attributes*."""
    endpoint = endpoint_of(attributes)
    values = _arguments(str(endpoint.get("EndpointArgs", "")))
    url = str(endpoint.get("EndpointAddress", ""))
    return Topic(
        name,
        Endpoint(url),
        persistent=str(endpoint.get("Persistent", values.get("persistent"))).lower() == "true",
        cloudevents=values.get("cloudevents") == "true",
        opaque=attributes.get(OPAQUE, ""),
        verify_ssl=values.get("verify-ssl", "true") != "false",
        ack=values.get(_ACK.get(Endpoint(url).scheme, "")),
        exchange=values.get("amqp-exchange"),
        use_ssl=values.get("use-ssl") == "true",
        ca_location=values.get("ca-location"),
        mechanism=values.get("mechanism"),
        time_to_live=_limit(values, endpoint, "time_to_live", "TimeToLive"),
        max_retries=_limit(values, endpoint, "max_retries", "MaxRetries"),
        retry_sleep_duration=_limit(values, endpoint, "retry_sleep_duration", "RetrySleepDuration"),
    )


def _arguments(text: str) -> dict[str, str]:
    """Read the attributes that Ceph keeps as an unescaped query string."""
    pairs = (part.partition("=") for part in text.split("&"))
    return {name: value for name, _, value in pairs if name in NAMES}


def _limit(
    values: Mapping[str, str], endpoint: Mapping[str, object], argument: str, shown: str
) -> int | None:
    # What Ceph understood goes before what it was told; "None" is its default.
    text = str(endpoint.get(shown, values.get(argument, "")))
    return int(text) if text.isascii() and text.isdecimal() else None


def _flag(value: bool) -> str:  # noqa: FBT001 - it is the value that is written
    return "true" if value else "false"


def _number(value: int | None) -> str | None:
    return None if value is None else str(value)
