import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rookery.events.identity import digest, object_identity, result_id, source_event_id
from rookery.events.object_created import ObjectCreated

UPLOAD = ObjectCreated(
    bucket="b",
    key="k",
    event_name="ObjectCreated:Put",
    etag="e",
    size=1,
    sequencer="0A",
    time="2026-01-01T00:00:00Z",
    request_id="R1",
)
VERSIONED = replace(UPLOAD, version="v1")
TIMED = replace(UPLOAD, request_id=None)


@pytest.mark.parametrize(
    ("upload", "changed"),
    [
        (UPLOAD, {"sequencer": "0B"}),
        (UPLOAD, {"event_name": "ObjectCreated:Post"}),
        (UPLOAD, {"size": None}),
        (UPLOAD, {"time": "2026-01-01T00:00:00.000Z"}),
        (VERSIONED, {"request_id": "R2"}),
        (VERSIONED, {"etag": None}),
        (VERSIONED, {"time": None}),
        (TIMED, {"sequencer": "0B"}),
    ],
)
def test_another_announcement_of_one_upload_has_its_identity(upload, changed):
    assert object_identity(replace(upload, **changed)) == object_identity(upload)


@pytest.mark.parametrize(
    ("upload", "changed"),
    [
        (UPLOAD, {"bucket": "c"}),
        (UPLOAD, {"key": "l"}),
        (UPLOAD, {"etag": "f"}),
        (UPLOAD, {"etag": None}),
        (UPLOAD, {"request_id": "R2"}),
        (UPLOAD, {"version": "v1"}),
        (VERSIONED, {"version": "v2"}),
        (VERSIONED, {"bucket": "c"}),
        (VERSIONED, {"key": "l"}),
        (TIMED, {"time": "2026-01-01T00:00:01Z"}),
        (TIMED, {"etag": "f"}),
    ],
)
def test_another_upload_has_another_identity(upload, changed):
    assert object_identity(replace(upload, **changed)) != object_identity(upload)


def test_an_identity_is_the_same_in_every_process_and_release():
    assert object_identity(UPLOAD) == (
        "c9108398488dd30c9c6bf50cb5f66b11c2d662c034f4104ec44ddce7d65dd825"
    )


def test_a_result_id_is_the_same_in_every_process_and_release():
    assert result_id(object_identity(UPLOAD), "efficientnet-lite0", 1) == (
        "2de27d7d7d3eb07000af26143b8ea24a9774eeda207b4fba7701f0380bc8a89c"
    )


@pytest.mark.parametrize("other", [("j", "m", 1), ("i", "n", 1), ("i", "m", 2)])
def test_another_object_model_or_version_has_another_result(other):
    assert result_id(*other) != result_id("i", "m", 1)


def test_a_source_event_id_starts_with_the_request_id():
    assert re.fullmatch(r"R1\.[0-9a-f]{32}", source_event_id(UPLOAD))


def test_a_source_event_id_without_a_request_is_the_identity():
    assert source_event_id(TIMED) == object_identity(TIMED)


@given(st.lists(st.none() | st.text(max_size=5), max_size=4), st.data())
def test_no_two_lists_of_parts_have_one_digest(parts, data):
    others = data.draw(st.lists(st.none() | st.text(max_size=5), max_size=4))
    assert (digest(*parts) == digest(*others)) is (parts == others)


def test_parts_are_not_just_joined():
    assert digest("ab", "c") != digest("a", "bc")
