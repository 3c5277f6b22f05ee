"""What our clients send; a request that lacks its id would delete a bucket, or all it has."""

from urllib.parse import parse_qs

import pytest
from botocore.exceptions import ParamValidationError

from rookery.errors import NotificationsRefused, SettingsInvalid, StorageDenied, StorageUnavailable
from rookery.notifications.boto_errors import translated
from rookery.notifications.ceph import CephNotifications
from rookery.notifications.connection import Connection, s3_client, sns_client


def answer(status, body=""):
    head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    return (head + body).encode()


def connect(url):
    return Connection(url, "default", "key", "do-not-tell")


def test_deleting_names_the_bucket_and_the_notification(scripted_server):
    server = scripted_server(answer("204 No Content"))
    s3_client(connect(server.url)).delete_bucket_notification(
        Bucket="images", NotificationId="a b/é&?"
    )
    line = server.requests[0].partition(b"\r\n")[0]
    assert line == b"DELETE /images?notification=a%20b%2F%C3%A9%26%3F HTTP/1.1"


@pytest.mark.parametrize(
    "named", [{}, {"NotificationId": None}, {"NotificationId": ""}, {"Bucket": ""}]
)
def test_nothing_is_deleted_without_both_names(scripted_server, named):
    server = scripted_server(answer("204 No Content"))
    names = {"Bucket": "images", "NotificationId": "n"} if "Bucket" in named else {"Bucket": "b-1"}
    with pytest.raises(ParamValidationError):
        s3_client(connect(server.url)).delete_bucket_notification(**(names | named))
    assert server.requests == []


def test_a_blank_is_sent_as_ceph_reads_it(scripted_server):
    made = "<CreateTopicResponse><CreateTopicResult><TopicArn>arn</TopicArn></CreateTopicResult>"
    server = scripted_server(answer("200 OK", f"{made}</CreateTopicResponse>"))
    opaque = "a b+c&d=é%20"

    sns_client(connect(server.url)).create_topic(Name="t", Attributes={"OpaqueData": opaque})

    body = server.requests[0].partition(b"\r\n\r\n")[2]
    assert b"a%20b%2Bc%26d%3D%C3%A9%2520" in body
    assert parse_qs(body.decode())["Attributes.entry.1.value"] == [opaque]


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        ("400 Bad Request", "<Error><Code>InvalidArgument</Code></Error>", NotificationsRefused),
        ("400 Bad Request", "<Error><Code>MalformedXML</Code></Error>", NotificationsRefused),
        ("404 Not Found", "<Error><Code>NoSuchBucket</Code></Error>", NotificationsRefused),
        ("404 Not Found", "<Error><Code>NoSuchKey</Code></Error>", NotificationsRefused),
        ("409 Conflict", "", NotificationsRefused),
        ("403 Forbidden", "<Error><Code>AccessDenied</Code></Error>", StorageDenied),
        (
            "400 Bad Request",
            "<Error><Code>AuthorizationHeaderMalformed</Code></Error>",
            StorageDenied,
        ),
        ("501 Not Implemented", "", StorageUnavailable),
        ("200 OK", "no XML", StorageUnavailable),
    ],
)
def test_what_the_store_answers_becomes_our_error(scripted_server, status, body, kind):
    connection = connect(scripted_server(answer(status, body)).url)
    with pytest.raises(kind) as caught, translated("bucket 'images'", connection):
        s3_client(connection).get_bucket_notification_configuration(Bucket="images")
    assert "bucket 'images'" in str(caught.value)
    assert "do-not-tell" not in str(caught.value)


def test_the_code_of_cephs_sns_is_told(scripted_server):
    body = "<ErrorResponse><Code>InvalidInput</Code></ErrorResponse>"
    connection = connect(scripted_server(answer("400 Bad Request", body)).url)
    with (
        pytest.raises(NotificationsRefused, match=r"topic t \(InvalidInput, HTTP 400\)"),
        translated("topic t", connection),
    ):
        sns_client(connection).create_topic(Name="t", Attributes={})


@pytest.mark.parametrize("page", ["no XML", "<html><body>Welcome</body></html>"])
def test_a_server_without_topics_is_named(scripted_server, page):
    notifications = "<NotificationConfiguration/>"
    server = scripted_server(answer("200 OK", notifications), answer("200 OK", page))
    store = CephNotifications(connect(server.url))
    with pytest.raises(NotificationsRefused, match=rf"{server.url} .*check S3_ENDPOINT_URL"):
        store.read(["images"])


def test_settings_that_make_no_client_are_refused():
    with pytest.raises(SettingsInvalid, match="S3_ENDPOINT_URL"):
        s3_client(connect("not a url"))


def test_the_secret_is_not_shown():
    assert "do-not-tell" not in repr(connect("http://h"))
