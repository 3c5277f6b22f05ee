import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rookery.notifications.endpoint import Endpoint
from rookery.notifications.notification import Topic
from rookery.notifications.topic_attributes import endpoint_of, read_topic, write_topic

# As Ceph 16.2.15 answered GetTopicAttributes.
RECORDED = {
    "User": "",
    "Name": "t1",
    "EndPoint": (
        '{"EndpointAddress":"http://127.0.0.1:34375/a","EndpointArgs":"Attributes.entry.1.key='
        "push-endpoint&Attributes.entry.1.value=http://127.0.0.1:34375/a&Attributes.entry.2.key="
        "OpaqueData&Attributes.entry.2.value=hello opaque&Attributes.entry.3.key=cloudevents&"
        "Attributes.entry.3.value=true&Attributes.entry.4.key=verify-ssl&Attributes.entry.4.value="
        "false&Attributes.entry.6.key=time_to_live&Attributes.entry.6.value=60&OpaqueData=hello "
        "opaque&Version=2010-03-31&cloudevents=true&persistent=true&push-endpoint="
        'http://127.0.0.1:34375/a&time_to_live=60&verify-ssl=false",'
        '"EndpointTopic":"t1","HasStoredSecret":"false","Persistent":"true"}'
    ),
    "TopicArn": "arn:aws:sns:default::t1",
    "OpaqueData": "hello opaque",
}

words = st.text(alphabet="abz09-_/", min_size=1, max_size=8)
maybe = st.none() | st.integers(0, 9999)


def as_ceph_echoes(attributes):
    """What 16.2 makes of what it was sent."""
    pairs = [f"{name}={value}" for name, value in sorted(attributes.items())]
    endpoint = {
        "EndpointAddress": attributes["push-endpoint"],
        "EndpointArgs": "&".join(["Version=2010-03-31", *pairs]),
        "Persistent": attributes["persistent"],
    }
    return {
        "EndPoint": json.dumps(endpoint, ensure_ascii=False),
        "OpaqueData": attributes.get("OpaqueData", ""),
    }


def test_what_ceph_answers_is_read():
    assert read_topic("t1", RECORDED) == Topic(
        "t1",
        Endpoint("http://127.0.0.1:34375/a"),
        persistent=True,
        cloudevents=True,
        opaque="hello opaque",
        verify_ssl=False,
        time_to_live=60,
    )


def test_what_ceph_understood_goes_before_what_it_was_told():
    endpoint = json.loads(RECORDED["EndPoint"]) | {"TimeToLive": "None", "MaxRetries": "3"}
    found = read_topic("t1", RECORDED | {"EndPoint": json.dumps(endpoint)})
    assert (found.time_to_live, found.max_retries) == (None, 3)


@pytest.mark.parametrize("text", ["", "no JSON", "[]"])
def test_an_endpoint_that_is_none_reads_as_empty(text):
    assert endpoint_of({"EndPoint": text}) == {}


@pytest.mark.parametrize(
    ("topic", "attributes"),
    [
        (
            Topic("t", Endpoint("http://h/")),
            {"push-endpoint": "http://h/", "persistent": "false", "verify-ssl": "true"},
        ),
        (
            Topic("t", Endpoint("amqps://h/v"), ack="routable", exchange="e", ca_location="/ca"),
            {
                "push-endpoint": "amqps://h/v",
                "persistent": "false",
                "verify-ssl": "true",
                "amqp-ack-level": "routable",
                "amqp-exchange": "e",
                "ca-location": "/ca",
            },
        ),
        (
            Topic(
                "t",
                Endpoint("kafka://h"),
                persistent=True,
                ack="none",
                use_ssl=True,
                mechanism="PLAIN",
                max_retries=0,
            ),
            {
                "push-endpoint": "kafka://h",
                "persistent": "true",
                "verify-ssl": "true",
                "kafka-ack-level": "none",
                "use-ssl": "true",
                "mechanism": "PLAIN",
                "max_retries": "0",
            },
        ),
    ],
)
def test_a_topic_is_written_as_cephs_attributes(topic, attributes):
    assert write_topic(topic) == attributes


@given(
    st.builds(
        Topic,
        name=st.just("t"),
        endpoint=st.sampled_from(
            [Endpoint(f"{one}://h/?a=1&b=2") for one in ("http", "amqp", "kafka")]
        ),
        persistent=st.booleans(),
        cloudevents=st.booleans(),
        opaque=st.text(max_size=10).filter(lambda text: "&" not in text),
        verify_ssl=st.booleans(),
        ca_location=st.none() | words,
        mechanism=st.none() | words,
        exchange=st.none() | words,
        time_to_live=maybe,
        max_retries=maybe,
        retry_sleep_duration=maybe,
    )
)
def test_what_is_written_is_read_again(topic):
    assert read_topic("t", as_ceph_echoes(write_topic(topic))) == topic
