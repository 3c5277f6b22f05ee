"""Certificates are checked everywhere, and an authority of one's own can be named."""

import pytest

from rookery.aws_client import Access, create_client
from rookery.credentials import Outgoing, believing
from rookery.delivery.connection import Answer, NoAnswer
from rookery.delivery.retry import RetryPolicy
from rookery.delivery.sink import connect_sink
from rookery.delivery.transport import Transport
from rookery.errors import QueueUnavailable, SettingsInvalid, SinkUnavailable, StorageUnavailable
from rookery.events.broker import client as broker_client
from rookery.events.wire import CloudEvent
from rookery.source import sqs
from rookery.storage import embedded, s3
from tls_servers import tls_server

EVENT = CloudEvent(id="1", source="/test", type="test.v1")


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """The embedded S3 and SQS over HTTPS."""
    app = embedded.application()
    embedded.provision(app, buckets=["images"], queue="images-events")
    with tls_server(app, tmp_path_factory.mktemp("store")) as server:
        yield server


@pytest.fixture(scope="module")
def sink(tmp_path_factory):
    def app(environ, start_response):
        environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        start_response("202 Accepted", [("Content-Length", "0")])
        return []

    with tls_server(app, tmp_path_factory.mktemp("sink")) as server:
        yield server


def read(url, ca_file):
    store = s3.connect(
        endpoint=url,
        region="us-east-1",
        access_key="a",
        secret_key="b",
        ca_file=ca_file,
        attempts=1,
    )
    store.write("images", "key", b"data", content_type="image/jpeg")
    data = store.read("images", "key", version=None, max_bytes=10).data
    store.close()
    return data


def test_a_store_with_the_right_authority_is_read(store):
    assert read(store.url, store.ca_file) == b"data"


@pytest.mark.parametrize("authority", ["other", "none"])
def test_a_store_of_an_unknown_authority_is_refused_and_the_setting_named(store, authority):
    file = store.other_ca_file if authority == "other" else None
    with pytest.raises(
        StorageUnavailable, match=r"TLS certificate of .* not trusted: .*S3_CA_FILE"
    ):
        read(store.url, file)


def test_a_store_by_another_name_is_refused(store):
    with pytest.raises(StorageUnavailable, match=r"not trusted: .*127\.0\.0\.1.* host name"):
        read(store.other_url, store.ca_file)


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_an_authority_that_cannot_be_read_is_refused_at_once(tmp_path, content):
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_text(content)
    with pytest.raises(SettingsInvalid, match=r"S3_CA_FILE: .*ca\.pem cannot be used"):
        read("https://127.0.0.1:1", file)


def queue(server, ca_file):
    return sqs.connect(
        embedded.queue_url(server.url, "images-events"),
        endpoint=server.url,
        region="us-east-1",
        access_key=None,
        secret_key=None,
        ca_file=ca_file,
        wait_seconds=0,
    )


@pytest.fixture
def keys(monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")


@pytest.mark.usefixtures("keys")
def test_a_queue_with_the_right_authority_is_received_from(store):
    queue(store, store.ca_file).receive()


@pytest.mark.usefixtures("keys")
def test_a_queue_of_an_unknown_authority_is_refused_and_the_setting_named(store):
    with pytest.raises(QueueUnavailable, match=r"not trusted: .*S3_CA_FILE"):
        queue(store, store.other_ca_file).receive()


def test_no_environment_variable_turns_the_check_off(store, monkeypatch):
    for name in ("PYTHONHTTPSVERIFY", "AWS_VERIFY_SSL", "S3_VERIFY", "CURL_CA_BUNDLE"):
        monkeypatch.setenv(name, "0" if name != "CURL_CA_BUNDLE" else "")
    with pytest.raises(StorageUnavailable, match="not trusted"):
        read(store.url, None)


def send(url, ca_certs):
    sink = connect_sink(
        url,
        policy=RetryPolicy(attempts=1),
        outgoing=Outgoing(tls=believing(ca_certs) if ca_certs else None),
    )
    try:
        sink.send(EVENT)
    finally:
        sink.close()


def test_a_sink_with_the_right_authority_is_sent_to(sink):
    send(sink.url, sink.ca_certs)


@pytest.mark.parametrize("authority", ["other", "none"])
def test_a_sink_of_an_unknown_authority_is_not_sent_to(sink, authority):
    with pytest.raises(SinkUnavailable, match="CERTIFICATE_VERIFY_FAILED"):
        send(sink.url, sink.other_ca_certs if authority == "other" else None)


def test_a_sink_by_another_name_is_not_sent_to(sink):
    with pytest.raises(SinkUnavailable, match=r"127\.0\.0\.1"):
        send(sink.other_url, sink.ca_certs)


def post(url, ca_certs):
    transport = Transport(
        max_answer_bytes=1000,
        connections_per_host=1,
        outgoing=Outgoing(tls=believing(ca_certs) if ca_certs else None),
    )
    try:
        return transport.post(url, {"ce-id": "1"}, b"{}", 20)
    finally:
        transport.close()


def test_the_broker_delivers_where_it_knows_the_authority(sink):
    answer = post(sink.url, sink.ca_certs)
    assert isinstance(answer, Answer)
    assert answer.status == 202


@pytest.mark.parametrize("case", ["other", "none", "name"])
def test_the_broker_does_not_deliver_to_whom_it_does_not_believe(sink, case):
    certs = {"other": sink.other_ca_certs, "none": None, "name": sink.ca_certs}[case]
    answer = post(sink.other_url if case == "name" else sink.url, certs)
    assert isinstance(answer, NoAnswer)
    assert "CERTIFICATE_VERIFY_FAILED" in answer.reason
    assert not answer.final


def test_commands_believe_the_same_authorities(sink):
    address = broker_client.Address(sink.url, Outgoing(tls=believing(sink.other_ca_certs)))
    with pytest.raises(SinkUnavailable, match="CERTIFICATE_VERIFY_FAILED"):
        broker_client.triggers(address)


def test_a_client_verifies_without_being_told(store):
    from botocore.config import Config
    from botocore.exceptions import SSLError

    client = create_client(
        "s3", Access(store.url, "us-east-1", "a", "b"), Config(retries={"total_max_attempts": 1})
    )
    with pytest.raises(SSLError):
        client.list_buckets()
    client.close()
