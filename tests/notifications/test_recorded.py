"""The requests that we captured from Ceph ourselves are still what came."""

import json
from pathlib import Path

import pytest

SAMPLES = [
    path
    for path in sorted((Path(__file__).parents[2] / "events/samples/ceph-rgw").glob("*.json"))
    if "request" in json.loads(path.read_text())
]
samples = pytest.mark.parametrize(
    "sample", [json.loads(path.read_text()) for path in SAMPLES], ids=lambda one: one["origin"]
)


def test_there_are_some():
    assert len(SAMPLES) == 11


@samples
def test_a_body_is_as_long_as_its_request_said(sample):
    # Ceph writes no blank between tokens; a sample is laid out for people.
    body = json.dumps(sample["body"], separators=(",", ":"), ensure_ascii=False)
    assert len(body.encode()) == int(sample["request_headers"]["Content-Length"])


@samples
def test_ceph_16_sends_no_cloudevent(sample):
    assert {name.lower() for name in sample["request_headers"]} == {
        "host", "accept", "content-type", "content-length",
    }  # fmt: skip
