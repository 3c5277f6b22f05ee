import inspect
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rookery import errors
from rookery.errors import Misconfigured, Overloaded, Rejected, RookeryError, Unavailable
from rookery.serving.reply import to_refusal
from rookery.status import BODY_LIMIT, STATUS_TABLE, bounded_body, status_of

# Knative eventing, data plane: these and every 5xx are tried again.
RETRIED_BELOW_500 = {404, 408, 409, 429}

# What each error is answered with. A new leaf of errors.py must find its line here.
EXPECTED = {
    "EventInvalid": 400,
    "EventForbidden": 403,
    "EventTooLarge": 413,
    "RequestInvalid": 400,
    "HeadersTooLarge": 431,
    "TokenRefused": 401,
    "BodyTooLarge": 413,
    "UnsupportedMedia": 415,
    "ImageEmpty": 422,
    "ImageUndecodable": 422,
    "ImageTooLarge": 422,
    "FormatNotAllowed": 415,
    "ObjectGone": 410,
    "ObjectReplaced": 410,
    "ObjectTooLarge": 422,
    "DeliveryRejected": 424,
    "StorageUnavailable": 503,
    "StorageDenied": 503,
    "SinkUnavailable": 503,
    "SinkDenied": 503,
    "RequestTooSlow": 408,
    "QueueUnavailable": 503,
    "JournalUnavailable": 503,
    "DedupUnavailable": 503,
    "ModelLoading": 503,
    "BackendFailed": 500,
    "DownloadUnavailable": 503,
    "SnapshotFailed": 503,
    "Overloaded": 429,
    "SettingsInvalid": 500,
    "ModelNotFound": 500,
    "ModelInvalid": 500,
    "BackendMissing": 500,
    "QuantizationRefused": 500,
    "DedupInvalid": 500,
    "FunctionInvalid": 500,
    "TriggersInvalid": 500,
    "PortTaken": 500,
    "StartFailed": 500,
    "CephMissing": 500,
    "CephInvalid": 500,
    "NotificationsInvalid": 500,
    "NotificationsRefused": 500,
    "CriuMissing": 500,
    "SnapshotInvalid": 500,
    "SnapshotMismatch": 500,
    "SnapshotUnsafe": 500,
    "HookFailed": 500,
}

CLASSES = [
    value
    for value in vars(errors).values()
    if inspect.isclass(value) and issubclass(value, RookeryError)
]
# What only says a consequence, and is never raised itself.
KINDS = {RookeryError, Rejected, Unavailable, Misconfigured, errors.ImageError}
LEAVES = [one for one in CLASSES if one not in KINDS]

# What lists several problems.
MANY_AT_ONCE = {
    errors.SettingsInvalid, errors.TriggersInvalid, errors.NotificationsInvalid, errors.CephMissing,
}  # fmt: skip


def error_of(kind: type[RookeryError], message: str = "something was wrong") -> RookeryError:
    if kind is errors.BodyTooLarge:
        return errors.BodyTooLarge(10)
    if kind in MANY_AT_ONCE:
        return kind([message])
    return kind(message)


every_leaf = pytest.mark.parametrize("kind", LEAVES, ids=lambda kind: kind.__name__)


def test_the_table_of_this_test_names_every_leaf_of_the_tree():
    assert set(EXPECTED) == {kind.__name__ for kind in LEAVES}


@every_leaf
def test_every_error_has_its_status(kind):
    assert status_of(error_of(kind)) == EXPECTED[kind.__name__]


@every_leaf
def test_a_broker_retries_what_may_succeed_later_and_nothing_that_is_final(kind):
    status = status_of(error_of(kind))
    retried = status in RETRIED_BELOW_500 or status >= 500
    assert retried is not issubclass(kind, Rejected)


@pytest.mark.parametrize("kind", [RookeryError, Rejected, Unavailable, Overloaded, Misconfigured])
def test_a_leaf_that_nobody_put_into_the_table_is_answered_by_its_consequence(kind):
    new = type("New", (kind,), {})
    assert status_of(new("x")) == {
        RookeryError: 500, Rejected: 422, Unavailable: 503, Overloaded: 429, Misconfigured: 500,
    }[kind]  # fmt: skip


def test_every_line_of_the_table_can_be_reached():
    seen: list[type[RookeryError]] = []
    for kind, _ in STATUS_TABLE:
        assert not any(issubclass(kind, earlier) for earlier in seen), kind
        seen.append(kind)


@every_leaf
def test_only_what_is_tried_again_is_told_when(kind):
    headers = to_refusal(error_of(kind)).headers
    assert ("Retry-After" in headers) is issubclass(kind, (Unavailable, Overloaded))


@pytest.mark.parametrize(
    ("seconds", "header"), [(0, "1"), (0.2, "1"), (1, "1"), (1.1, "2"), (30, "30")]
)
def test_retry_after_is_whole_seconds_and_never_at_once(seconds, header):
    answer = to_refusal(Unavailable("down", retry_after=seconds))
    assert answer.headers["Retry-After"] == header


@every_leaf
def test_a_refusal_is_json_with_the_errors_name_and_message(kind):
    error = error_of(kind)
    answer = to_refusal(error)
    assert answer.content_type == "application/json"
    assert json.loads(answer.data) == {"error": kind.__name__, "message": str(error)}


@pytest.mark.parametrize(
    "message",
    ["x" * 5000, "ü" * 5000, "🐧" * 5000, '"' * 5000, "\0" * 5000, "\ud800" * 5000, "\\" * 900],
    ids=["ascii", "latin", "astral", "quotes", "nul", "surrogates", "backslashes"],
)
def test_a_long_message_is_cut_until_the_body_reaches_a_dead_letter_whole(message):
    body = to_refusal(errors.EventInvalid(message)).data
    assert len(body) <= BODY_LIMIT
    assert json.loads(body)["message"].endswith("…")


@given(st.text(max_size=3000))
def test_a_body_is_never_too_long_and_never_cut_without_need(message):
    body = bounded_body("EventInvalid", message)
    assert len(json.dumps(body)) <= BODY_LIMIT
    whole = len(json.dumps({"error": "EventInvalid", "message": message}))
    assert (body["message"] == message) is (whole < BODY_LIMIT)
