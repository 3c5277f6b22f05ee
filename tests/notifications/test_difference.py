"""What has to be done, and how it is said."""

from dataclasses import replace

import pytest

from rookery.notifications.advice import advice
from rookery.notifications.capabilities import AWS, OLD, RELEASES, SQUID, UNKNOWN
from rookery.notifications.difference import Difference, to_apply, to_remove
from rookery.notifications.endpoint import Endpoint
from rookery.notifications.notification import Existing, Filter, Notification, Target, Topic, Wanted
from rookery.notifications.wording import difference_lines

EVENTS = ("s3:ObjectCreated:*",)
TOPIC = Topic("t", Endpoint("http://h/"))
ONE = Notification("images", "n", Target("topic", "t"), EVENTS)
FOREIGN = Notification("images", "f", Target("topic", "other"), EVENTS)
WANTED = Wanted((ONE,), (TOPIC,))
OTHER = replace(TOPIC, endpoint=Endpoint("http://other/"))
EXISTING = Existing(OLD, (ONE,), {"t": TOPIC}, {("n", "t"): TOPIC})
QUEUE = Notification("images", "q", Target("queue", "arn:q"), EVENTS)


def existing(**fields):
    return replace(EXISTING, **fields)


def text(difference):
    return list(difference_lines(difference))


def test_what_is_as_wanted_needs_nothing():
    assert to_apply(WANTED, EXISTING) == Difference()


@pytest.mark.parametrize(
    ("there", "lines"),
    [
        (
            existing(notifications=(), topics={}, copies={}),
            [
                "+ topic t",
                "    endpoint             http://h/",
                "    persistent           false",
                "+ notification images/n",
                "    topic                t",
                "    events               s3:ObjectCreated:*",
            ],
        ),
        (
            existing(topics={"t": OTHER}, copies={("n", "t"): OTHER}),
            [
                "~ topic t",
                "    endpoint             http://other/ -> http://h/",
                "~ notification images/n  (sent again: Ceph keeps a copy of the topic in it)",
            ],
        ),
        (
            existing(copies={("n", "t"): OTHER}),
            ["~ notification images/n  (sent again: Ceph keeps a copy of the topic in it)"],
        ),
        (
            existing(notifications=(replace(ONE, filter=Filter(suffix=".png")),)),
            ["~ notification images/n", "    filter               suffix=.png -> unset"],
        ),
        (
            existing(notifications=(ONE, replace(ONE, target=Target("topic", "u")))),
            ["~ notification images/n", "    topic                u -> t"],
        ),
        (
            existing(topics={"t": None}, copies={}),
            [
                "~ topic t",
                "    endpoint             http://h/",
                "    persistent           false",
                "~ notification images/n  (sent again: Ceph keeps a copy of the topic in it)",
            ],
        ),
    ],
)
def test_what_differs_is_done_and_said(there, lines):
    assert text(to_apply(WANTED, there)) == lines


def test_what_the_file_does_not_name_is_left_alone_unless_pruned():
    there = existing(notifications=(ONE, FOREIGN))
    assert to_apply(WANTED, there).is_empty
    pruned = to_apply(WANTED, there, prune=True)
    assert pruned.removes_foreign
    assert text(pruned)[0] == "- notification images/f  (not in the file)"


def test_other_buckets_are_never_pruned():
    there = existing(notifications=(ONE, replace(FOREIGN, bucket="other")))
    assert to_apply(WANTED, there, prune=True).is_empty


@pytest.mark.parametrize("able", [OLD, RELEASES["pacific"]])
def test_what_a_release_keeps_without_understanding_is_no_difference(able):
    limited = replace(TOPIC, persistent=True, time_to_live=60)
    there = Existing(able, (ONE,), {"t": limited}, {("n", "t"): limited})
    assert to_apply(Wanted((ONE,), (replace(limited, time_to_live=None),)), there).is_empty
    assert to_apply(Wanted((ONE,), (limited,)), there).is_empty


def test_limits_are_sent_where_they_are_known():
    limited = replace(TOPIC, persistent=True, time_to_live=60)
    (change,) = to_apply(Wanted((ONE,), (limited,)), replace(EXISTING, capabilities=SQUID)).topics
    assert change.after == limited


def test_removing_takes_the_topic_too():
    difference = to_remove(WANTED, EXISTING)
    assert [one.sign for one in (*difference.topics, *difference.notifications)] == ["-", "-"]


@pytest.mark.parametrize("bucket", ["images", "elsewhere"])
def test_a_topic_that_is_used_elsewhere_stays(bucket):
    other = replace(ONE, bucket=bucket, id="other")
    difference = to_remove(WANTED, existing(notifications=(ONE, other)))
    assert difference.topics == ()
    assert len(difference.notifications) == 1


def test_a_topic_that_is_gone_is_not_removed():
    assert to_remove(WANTED, existing(notifications=(), topics={})).is_empty


def test_the_switch_of_eventbridge_is_no_notification_of_that_name():
    switch = Notification("images", "eventbridge", Target("eventbridge", "eventbridge"), ("s3:*",))
    named = replace(QUEUE, id="eventbridge")
    there = Existing(AWS, (named,))
    (change,) = to_apply(Wanted((switch,)), there).notifications
    assert (change.sign, change.before) == ("+", ())


@pytest.mark.parametrize(
    ("before", "after", "line"),
    [
        ({"opaque": "do-not-tell"}, {"opaque": "do-not-tall"}, "opaque"),
        (
            {"endpoint": Endpoint("amqp://u:do-not-tell@h")},
            {"endpoint": Endpoint("amqp://u:other@h")},
            "endpoint",
        ),
    ],
)
def test_a_change_of_a_secret_is_said_without_it(before, after, line):
    there = existing(topics={"t": replace(TOPIC, **before)}, copies={})
    said = "\n".join(text(to_apply(Wanted((ONE,), (replace(TOPIC, **after),)), there)))
    assert "(changed in what is not shown)" in said
    assert line in said
    assert "do-not" not in said


# --- advice


def advised(wanted, there):
    return " | ".join(advice(wanted, there, to_apply(wanted, there)))


def test_nothing_to_say_where_nothing_surprises():
    assert advised(WANTED, EXISTING) == ""


@pytest.mark.parametrize(
    ("able", "said"),
    [
        (OLD, "Ceph 16 or 17 does not know time_to_live"),
        (RELEASES["reef"], "Ceph 18 (reef) does not know time_to_live"),
        (UNKNOWN, ""),
        (SQUID, ""),
    ],
)
def test_limits_without_effect_are_told(able, said):
    wanted = Wanted((ONE,), (replace(TOPIC, persistent=True, time_to_live=60),))
    found = advised(wanted, existing(capabilities=able, topics={}, notifications=(), copies={}))
    assert found.startswith(said)
    assert bool(found) is bool(said)


@pytest.mark.parametrize(
    ("able", "said"),
    [
        (RELEASES["pacific"], "Ceph 16 (pacific) does not know cloudevents"),
        (UNKNOWN, "Ceph may not know cloudevents"),
        (SQUID, ""),
    ],
)
def test_cloudevents_without_effect_are_told(able, said):
    wanted = Wanted((ONE,), (replace(TOPIC, cloudevents=True),))
    found = advised(wanted, existing(capabilities=able, topics={}, notifications=(), copies={}))
    assert found.startswith(said)


def test_a_notification_of_removals_is_warned_of_on_16():
    wanted = Wanted((replace(ONE, events=("s3:ObjectRemoved:*",)),), (TOPIC,))
    assert "abort" in advised(wanted, EXISTING)
    assert "abort" not in advised(wanted, existing(capabilities=SQUID))


def test_events_in_a_queue_keep_their_endpoint():
    queued = replace(OTHER, persistent=True)
    there = existing(topics={"t": queued}, copies={("n", "t"): queued})
    assert "queued for http://other/ still goes there" in advised(WANTED, there)
    dropped = to_remove(WANTED, there)
    assert "is dropped with topic t" in " ".join(advice(WANTED, there, dropped))


def test_a_synchronous_notification_beside_another_is_warned_of():
    wanted = Wanted((ONE, replace(ONE, id="m")), (TOPIC,))
    assert "drops the event" in advised(wanted, EXISTING)


def test_what_is_kept_is_told():
    there = existing(
        notifications=(ONE, FOREIGN, replace(ONE, bucket="else", id="x")),
        topics={"t": OTHER},
        copies={},
    )
    found = advised(WANTED, there)
    assert "images/f is not in the file: kept" in found
    assert "else/x is not in the file and keeps its copy of topic t as it was" in found
