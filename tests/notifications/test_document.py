import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from rookery.errors import NotificationsInvalid
from rookery.notifications.document import read_wanted, store_kind
from rookery.notifications.endpoint import Endpoint
from rookery.notifications.notification import Filter, Notification, Target, Topic

ENTRY = {"name": "n", "bucket": "images", "endpoint": "http://127.0.0.1:8082/"}
QUEUE = {"name": "n", "bucket": "images", "queue": "arn:aws:sqs:eu-west-1:111122223333:q"}

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)


def read(*entries, **environ):
    return read_wanted(yaml.safe_dump({"notifications": list(entries)}), environ)


def without(name):
    return {field: value for field, value in ENTRY.items() if field != name}


def problems(*entries, **environ):
    with pytest.raises(NotificationsInvalid) as caught:
        read(*entries, **environ)
    return list(caught.value.problems)


def topic(**fields):
    (found,) = read(ENTRY | fields).topics
    return found


def test_the_least_that_works():
    wanted = read(ENTRY)
    assert wanted.notifications == (
        Notification("images", "n", Target("topic", "n"), ("s3:ObjectCreated:*",)),
    )
    assert wanted.topics == (Topic("n", Endpoint("http://127.0.0.1:8082/")),)
    assert store_kind(wanted) == "ceph"


def test_everything_that_there_is():
    wanted = read(
        ENTRY
        | {
            "topic": "t",
            "endpoint": "amqps://rabbit/vhost",
            "events": ["ObjectCreated:Put", "s3:ObjectCreated:Copy"],
            "filter": {
                "prefix": "in/",
                "suffix": ".jpg",
                "regex": "x+",
                "metadata": {"Kind": "photo", "x-amz-meta-a": "b"},
                "tags": {"Team": "zoo"},
            },
            "persistent": True,
            "opaque": "o",
            "verify_ssl": False,
            "ack": "routable",
            "exchange": "e",
            "ca_location": "/ca.pem",
            "time_to_live": 60,
            "max_retries": 0,
            "retry_sleep_duration": 5,
        }
    )
    (one,) = wanted.notifications
    assert one.events == ("s3:ObjectCreated:Copy", "s3:ObjectCreated:Put")
    assert one.filter == Filter(
        prefix="in/",
        suffix=".jpg",
        regex="x+",
        metadata=(("x-amz-meta-a", "b"), ("x-amz-meta-kind", "photo")),
        tags=(("Team", "zoo"),),
    )
    assert wanted.topics == (
        Topic(
            "t",
            Endpoint("amqps://rabbit/vhost"),
            persistent=True,
            opaque="o",
            verify_ssl=False,
            ack="routable",
            exchange="e",
            ca_location="/ca.pem",
            time_to_live=60,
            max_retries=0,
            retry_sleep_duration=5,
        ),
    )


def test_kafka_has_its_own():
    found = topic(
        endpoint="kafka://broker:9092", ack="none", use_ssl=True, mechanism="SCRAM-SHA-512"
    )
    assert (found.ack, found.use_ssl, found.mechanism) == ("none", True, "SCRAM-SHA-512")


def test_secrets_come_from_the_environment():
    wanted = read(
        ENTRY | {"endpoint": "amqp://u:${PASS}@h/", "exchange": "e", "opaque": "$${PASS} ${PASS}"},
        PASS="p$w",
    )
    assert wanted.topics[0].endpoint.url == "amqp://u:p$w@h/"
    assert wanted.topics[0].opaque == "${PASS} p$w"


def test_nothing_else_comes_from_the_environment():
    assert problems(ENTRY | {"bucket": "${BUCKET}"}, BUCKET="images") == [
        "notification 1: bucket is no name of a bucket: '${BUCKET}'"
    ]


def test_two_notifications_may_share_a_topic():
    wanted = read(ENTRY | {"topic": "t"}, ENTRY | {"topic": "t", "name": "m"})
    assert [one.name for one in wanted.topics] == ["t"]


@pytest.mark.parametrize(
    ("queue", "arn"),
    [
        ("arn:aws:sqs:eu-west-1:111122223333:q", "arn:aws:sqs:eu-west-1:111122223333:q"),
        (
            "https://sqs.eu-west-1.amazonaws.com/111122223333/q",
            "arn:aws:sqs:eu-west-1:111122223333:q",
        ),
    ],
)
def test_a_queue_is_named_by_its_arn_or_url(queue, arn):
    wanted = read(QUEUE | {"queue": queue})
    assert wanted.notifications[0].target == Target("queue", arn)
    assert store_kind(wanted) == "aws"


def test_eventbridge_is_a_switch_of_the_bucket():
    (one,) = read({"bucket": "images", "eventbridge": True}).notifications
    assert one.target.kind == "eventbridge"


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        (without("name"), "notification 1: name is missing"),
        (without("bucket"), "notification 1: bucket is missing"),
        (without("endpoint"), "notification 1: needs exactly one of endpoint (Ceph), queue"),
        (ENTRY | QUEUE, "notification 1: needs exactly one of endpoint (Ceph), queue"),
        (ENTRY | {"endpiont": "x"}, "notification n: endpiont is not known here; known are ack,"),
        (QUEUE | {"persistent": True}, "notification n: persistent is not known here"),
        (QUEUE | {"filter": {"regex": "x"}}, "notification n: filter.regex is not known here"),
        (QUEUE | {"queue": "q"}, "notification n: queue must be the ARN of an SQS queue"),
        (ENTRY | {"endpoint": 5}, "notification n: endpoint must be a text that is not empty"),
        (ENTRY | {"endpoint": None}, "notification n: endpoint is missing"),
        (ENTRY | {"name": "a b"}, "notification 1: name must be letters, digits"),
        (ENTRY | {"topic": "é"}, "notification n: topic must be letters, digits"),
        (ENTRY | {"bucket": "a/b"}, "notification 1: bucket is no name of a bucket"),
        (ENTRY | {"events": []}, "notification n: events must not be empty"),
        (ENTRY | {"events": ["Put"]}, "notification n: events holds 'Put', not an event"),
        (ENTRY | {"events": {"a": 1}}, "notification n: events holds {'a': 1}, not an event"),
        (ENTRY | {"filter": ["x"]}, "notification n: filter must be a mapping"),
        (ENTRY | {"filter": {"regex": "(["}}, "notification n: filter.regex holds '['"),
        (ENTRY | {"filter": {"prefix": 5}}, "notification n: filter.prefix must be a text"),
        (ENTRY | {"filter": {"tags": {"a": 1}}}, "notification n: filter.tags must map texts"),
        (ENTRY | {"endpoint": "ftp://x"}, "notification n: endpoint must be a URL that begins"),
        (ENTRY | {"endpoint": "${NO}"}, "notification n: endpoint needs the environment variab"),
        (ENTRY | {"endpoint": "http://x/?a&verify-ssl=false"}, "notification n: endpoint holds &"),
        (ENTRY | {"opaque": "x&persistent=false"}, "notification n: opaque holds &NAME= of an"),
        (ENTRY | {"endpoint": "amqp://h"}, "notification n: exchange is missing"),
        (ENTRY | {"exchange": "e"}, "notification n: exchange is for amqp and amqps endpoints"),
        (ENTRY | {"ack": "broker"}, "notification n: ack is for amqp and amqps and kafka"),
        (ENTRY | {"persistent": "yes"}, "notification n: persistent must be true or false, not"),
        (ENTRY | {"time_to_live": 60}, "notification n: time_to_live needs persistent: true"),
        (ENTRY | {"persistent": True, "max_retries": -1}, "notification n: max_retries must be a"),
        ({"bucket": "images", "eventbridge": False}, "notification 1: eventbridge must be true"),
        ({"bucket": "images", "eventbridge": True, "events": []}, "notification 1: events is not"),
        ("x", "notification 1: must be a mapping, not 'x'"),
    ],
)  # fmt: skip
def test_a_problem_is_told_with_its_place(entry, problem):
    (found,) = problems(entry)
    assert found.startswith(problem)


@pytest.mark.parametrize(
    ("entries", "problem"),
    [
        ((ENTRY, ENTRY), "notification n: is there twice for bucket 'images'"),
        ((ENTRY, QUEUE | {"name": "m"}), "the file: endpoint is for Ceph, queue and eventbridge"),
        (
            (ENTRY | {"topic": "t"}, ENTRY | {"name": "m", "topic": "t", "persistent": True}),
            "notification m: says something else of topic 't' than",
        ),
        (
            (ENTRY | {"name": "a", "topic": "b_c"}, ENTRY | {"name": "a_b", "topic": "c"}),
            "notification a_b: Ceph would take it for 'a' of bucket 'images'",
        ),
        ((ENTRY, ENTRY | {"bucket": "other"}), "notification n: Ceph would take it for 'n' of"),
        (
            (
                ENTRY | {"endpoint": "amqp://h", "exchange": "e"},
                ENTRY | {"name": "m", "endpoint": "amqp://h", "exchange": "f"},
            ),
            "topic m: has another exchange than topic n at the same endpoint",
        ),
    ],
)
def test_entries_that_do_not_go_together_are_told(entries, problem):
    (found,) = problems(*entries)
    assert found.startswith(problem)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "the file: must be a mapping"),
        ("notifications: []", "the file: notifications must be a list that is not empty"),
        ("notification: [{}]", "the file: notification is not known here"),
        ("a: [\n", "not YAML: "),
        ("a: 2026-13-01", "not YAML, or a value in it is none"),
        ("\x00", "not YAML, or a value in it is none"),
    ],
)
def test_a_file_that_is_none_is_told(text, problem):
    with pytest.raises(NotificationsInvalid) as caught:
        read_wanted(text, {})
    assert caught.value.problems[0].startswith(problem)


def test_every_problem_is_told_at_once():
    found = problems(ENTRY | {"name": 5, "events": ["x"]}, ENTRY | {"endpoint": "x"}, "y")
    assert [one.split()[3] for one in found] == ["must", "holds", "must", "be"]


@pytest.mark.parametrize(
    "text",
    [
        "notifications:\n- endpoint: amqp://u:do-not-tell@h\n  x: [",
        "notifications:\n- name: n\n  endpoint: 'amqp ://u:do-not-tell@h'",
        "notifications:\n- name: n\n  endpoint: amqp://u:do-not-tell@h:x/",
        "notifications:\n- name: n\n  endpoint: ${SECRET}",
        "notifications:\n- name: n\n  opaque: do-not-tell&persistent=\n  endpoint: http://h",
    ],
)
def test_no_problem_tells_a_secret(text):
    with pytest.raises(NotificationsInvalid) as caught:
        read_wanted(text, {"SECRET": "do-not-tell"})
    assert "do-not-tell" not in str(caught.value)


@given(json_values)
def test_any_document_is_read_or_refused(document):
    try:
        read_wanted(yaml.safe_dump(document), {})
    except NotificationsInvalid as exc:
        assert exc.problems  # noqa: PT017 - it may just as well be read


@given(st.sampled_from([*sorted(ENTRY), "events", "filter", "topic", "opaque"]), json_values)
def test_any_value_in_an_entry_is_read_or_refused(name, value):
    try:
        wanted = read(ENTRY | {name: value})
    except NotificationsInvalid:
        return
    assert len(wanted.notifications) == 1
