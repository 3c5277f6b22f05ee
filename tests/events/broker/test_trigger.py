import pytest

from rookery.errors import TriggersInvalid
from rookery.events.broker.backoff import Backoff
from rookery.events.broker.filters import Prefix
from rookery.events.broker.trigger import Delivery, Trigger, parse_triggers

WHOLE = """
apiVersion: eventing.knative.dev/v1
kind: Broker
metadata: {name: default}
---
apiVersion: eventing.knative.dev/v1
kind: Trigger
metadata:
  name: classify
  annotations:
    rookery.dev/concurrency: "2"
spec:
  broker: default
  filters:
    - prefix: {type: com.amazonaws.}
  subscriber: {uri: "http://127.0.0.1:8080/"}
  delivery:
    retry: 3
    backoffPolicy: linear
    backoffDelay: PT1S
    retryAfterMax: PT10S
    timeout: PT30S
    format: json
    deadLetterSink: {uri: "http://127.0.0.1:8090/dead"}
---
apiVersion: eventing.knative.dev/v1
kind: Trigger
metadata:
  name: audit
  annotations: {rookery.dev/ordering: ordered, rookery.dev/concurrency: 4}
spec:
  subscriber: {uri: "https://audit.example/in"}
"""


def test_reads_every_trigger_of_the_documents():
    classify, audit = parse_triggers(WHOLE)
    assert classify == Trigger(
        name="classify",
        subscriber="http://127.0.0.1:8080/",
        filter=classify.filter,
        delivery=Delivery(
            retry=3,
            backoff=Backoff("linear", 1.0, retry_after_maximum=10.0),
            timeout=30.0,
            dead_letter="http://127.0.0.1:8090/dead",
            structured=True,
        ),
        concurrency=2,
    )
    assert audit == Trigger(
        name="audit", subscriber="https://audit.example/in", concurrency=1, ordered=True
    )


def test_reads_the_filter():
    assert parse_triggers(WHOLE)[0].filter.filters == (Prefix("type", "com.amazonaws."),)


def test_defaults_are_knatives():
    delivery = parse_triggers(WHOLE)[1].delivery
    assert (delivery.retry, delivery.backoff.policy, delivery.backoff.delay) == (
        10,
        "exponential",
        0.2,
    )


@pytest.mark.parametrize("text", ["", "---\n---\n", "# nothing\n"])
def test_no_document_is_no_trigger(text):
    assert parse_triggers(text) == ()


GOOD = """
apiVersion: eventing.knative.dev/v1
kind: Trigger
metadata: {name: good}
spec: {subscriber: {uri: "http://127.0.0.1:8080/"}}
"""


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("kind: Trigger", "kind: Triger", "dev/v1, kind Trigger; it is"),
        ("eventing.knative", "serving.knative", "must be apiVersion"),
        ("name: good", "name: Good", "metadata.name must be a lowercase DNS name"),
        ("{name: good}", "{}", "metadata.name must be a lowercase DNS name"),
        ("uri: ", "url: ", "spec.subscriber.uri is missing"),
        ("http://127.0.0.1:8080/", "ftp://x/", "must be an http:// or https:// URL"),
        ("http://127.0.0.1:8080/", "http://x:99999/", "must be an http:// or https:// URL"),
        ("http://127.0.0.1:8080/", "http:///x", "must be an http:// or https:// URL"),
        ('{uri: "http://127.0.0.1:8080/"}', "{ref: {name: x}}", "cannot be resolved without"),
        ("}}", "}, delivery: {retry: -1}}", "spec.delivery.retry must be a whole number"),
        ("}}", "}, delivery: {retry: true}}", "spec.delivery.retry must be a whole number"),
        ("}}", "}, delivery: {backoffPolicy: slow}}", "must be one of linear, exponential"),
        ("}}", "}, delivery: {backoffDelay: 1s}}", "backoffDelay must be an ISO 8601 duration"),
        ("}}", "}, delivery: {timeout: PT0S}}", "timeout must be longer than nothing"),
        ("}}", "}, delivery: {deadLetterSink: {}}}", None),
        ("}}", "}, delivery: {deadLetterSink: {uri: x}}}", "deadLetterSink.uri must be an http"),
        ("}}", "}, delivery: [1]}", "spec.delivery must be a mapping"),
        ("}}", "}, filters: [{cesql: x}]}", "spec.filters[0].cesql is not supported"),
        ("name: good", "name: good, annotations: {rookery.dev/ordering: fifo}", "must be one of"),
        ("name: good", "name: good, annotations: {rookery.dev/concurrency: 0}", "from 1 to 256"),
        ("apiVersion", "- apiVersion", "not YAML"),
    ],
)
def test_names_what_is_wrong(old, new, problem):
    text = GOOD.replace(old, new)
    assert text != GOOD
    if problem is None:
        assert len(parse_triggers(text)) == 1
        return
    with pytest.raises(TriggersInvalid) as caught:
        parse_triggers(text)
    assert problem in str(caught.value)


def test_reports_the_problems_of_all_documents():
    broken = GOOD.replace("uri", "url") + "---" + GOOD.replace("good", "Bad")
    with pytest.raises(TriggersInvalid) as caught:
        parse_triggers(broken)
    assert len(caught.value.problems) == 2


def test_two_triggers_cannot_share_a_name():
    with pytest.raises(TriggersInvalid, match="two triggers are named 'good'"):
        parse_triggers(f"{GOOD}---{GOOD}")


def test_the_problem_says_which_trigger():
    with pytest.raises(TriggersInvalid, match=r"trigger good: spec\.subscriber\.uri is missing"):
        parse_triggers(GOOD.replace("uri", "url"))
