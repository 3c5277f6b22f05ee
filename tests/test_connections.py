import json

import boto3
import pytest

from rookery import connections
from rookery.backends.fixed import FixedBackend
from rookery.connections import connect
from rookery.errors import SettingsInvalid
from rookery.images.limits import ImageLimits
from rookery.lifecycle.phases import load, warm
from rookery.serving.metrics import FunctionMetrics


@pytest.fixture
def warmed(penguins):
    return warm(load(penguins, FixedBackend()), limits=ImageLimits(), top_k=5)


def test_connecting_needs_nobody_to_listen_yet(warmed, settings, unused_url):
    everything = settings(
        S3_ENABLED="true",
        S3_BUCKET_NAME="images",
        S3_ENDPOINT_URL=unused_url,
        S3_ACCESS_KEY="a",
        S3_SECRET_KEY="s",
        K_SINK=unused_url,
    )
    with connect(warmed, "classify", everything, FunctionMetrics(), None, capacity=1) as subscriber:
        assert subscriber is not None


def test_there_is_a_connection_for_every_request_that_may_be_inside(
    warmed, settings, unused_url, monkeypatch
):
    kept = {}

    def told(name):
        real = getattr(connections, name)

        def make(*arguments, concurrency, **options):
            kept[name] = concurrency
            return real(*arguments, concurrency=concurrency, **options)

        monkeypatch.setattr(connections, name, make)

    told("connect_to_s3")
    told("connect_sink")
    everything = settings(
        S3_ENABLED="true",
        S3_BUCKET_NAME="images",
        S3_ENDPOINT_URL=unused_url,
        K_SINK=unused_url,
        ROOKERY_QUEUE="30",
    )
    with connect(warmed, "classify", everything, FunctionMetrics(), None, capacity=7):
        assert kept == {"connect_to_s3": 7, "connect_sink": 7}


@pytest.fixture
def announced(storage, jpeg):
    """An object in the bucket, and the notification of it."""
    client = boto3.client("s3", **storage.client)
    stored = client.put_object(Bucket="images", Key="dedup.jpg", Body=jpeg)
    name, obj = "ObjectCreated:Put", {"key": "dedup.jpg", "eTag": stored["ETag"].strip('"')}
    record = {"eventName": name, "s3": {"bucket": {"name": "images"}, "object": obj}}
    return json.dumps({"Records": [record]}).encode()


@pytest.fixture
def outcomes(settings, storage, announced, tmp_path):
    """Start a function with a window in a file, announce the object; say what became of it."""
    everything = settings(
        **{name: value for name, value in storage.env.items() if name.startswith("S3_")},
        S3_ENABLED="true",
        S3_BUCKET_NAME="images",
        S3_ENDPOINT_URL=storage.url,
        ROOKERY_DEDUP=f"sqlite:{tmp_path / 'dedup.db'}",
    )

    def start(warmed, name="classify"):
        metrics = FunctionMetrics()
        with connect(warmed, name, everything, metrics, None, capacity=1) as subscriber:
            (result,) = subscriber.handle({"content-type": "application/json"}, announced)
        count = metrics.registry.get_sample_value
        outcomes = ("completed", "repeated")
        return result, [count("rookery_events_total", {"outcome": each}) for each in outcomes]

    return start


def test_what_was_done_before_a_restart_is_a_repeat_after_it(outcomes, warmed):
    first, counted = outcomes(warmed)
    assert counted == [1, None]
    again, counted = outcomes(warmed)
    assert counted == [None, 1]
    assert again == first


def test_another_function_or_answer_is_no_repeat(outcomes, warmed, penguins):
    outcomes(warmed)
    assert outcomes(warmed, "describe")[1] == [1, None]
    shorter = warm(load(penguins, FixedBackend()), limits=ImageLimits(), top_k=1)
    result, counted = outcomes(shorter)
    assert counted == [1, None]
    assert len(result.json()["predictions"]) == 1


def test_a_redis_that_is_down_does_not_hinder_the_start(warmed, settings, unused_url):
    everything = settings(ROOKERY_DEDUP=unused_url.replace("http", "redis"))
    with connect(warmed, "classify", everything, FunctionMetrics(), None, capacity=1) as subscriber:
        assert subscriber is not None


def test_the_file_of_a_redis_password_is_read_here(warmed, settings, tmp_path):
    nowhere = settings(
        ROOKERY_DEDUP="redis://cache", ROOKERY_DEDUP_PASSWORD_FILE=str(tmp_path / "nowhere")
    )
    with (
        pytest.raises(SettingsInvalid, match="ROOKERY_DEDUP_PASSWORD_FILE"),
        connect(warmed, "classify", nowhere, FunctionMetrics(), None, capacity=1),
    ):
        pass
