import re

import pytest
from prometheus_client.parser import text_string_to_metric_families

from rookery.lifecycle import instance
from rookery.models.classification import Timings
from rookery.serving.metrics import FunctionMetrics


def samples(function):
    """Every sample of /metrics, as a scraper reads it: (name, labels) to value."""
    response = function.client.get("/metrics")
    assert response.content_type.startswith("text/plain; version=")
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(response.text)
        for sample in family.samples
    }


def count(function, name, **labels):
    return samples(function).get((name, frozenset(labels.items())), 0.0)


def post(function, data, content_type="image/jpeg"):
    return function.client.post("/", data=data, content_type=content_type)


def test_requests_are_counted_by_route_and_status(function, jpeg):
    post(function, jpeg)
    post(function, jpeg)
    post(function, b"text")
    function.client.get("/?imageName=test1")
    assert count(function, "rookery_requests_total", route="POST /", status="200") == 2
    assert count(function, "rookery_requests_total", route="POST /", status="422") == 1
    assert count(function, "rookery_requests_total", route="GET /", status="200") == 1


def test_refusals_are_counted_by_name(function):
    post(function, b"text")
    post(function, b"", "text/plain")
    function.client.get("/nothing")
    for error in ("ImageUndecodable", "UnsupportedMedia", "NotFound"):
        assert count(function, "rookery_errors_total", error=error) == 1


def test_the_time_of_a_request_and_of_an_image_is_recorded(function, jpeg):
    post(function, jpeg)
    assert count(function, "rookery_request_seconds_count", route="POST /") == 1
    assert count(function, "rookery_decode_seconds_count") == 1
    assert count(function, "rookery_inference_seconds_count") == 1


def test_a_refused_image_has_no_decoding_time(function):
    post(function, b"text")
    assert count(function, "rookery_decode_seconds_count") == 0


def test_milliseconds_become_seconds():
    metrics = FunctionMetrics()
    metrics.observe(Timings(decode_ms=250, infer_ms=1500, total_ms=1800))
    read = metrics.registry.get_sample_value
    assert read("rookery_decode_seconds_sum") == 0.25
    assert read("rookery_inference_seconds_sum") == 1.5


@pytest.mark.parametrize(("act", "ready"), [("none", 0), ("start", 1), ("drain", 0)])
def test_readiness_is_a_gauge(function, act, ready):
    if act != "none":
        function.startup.begin()
        function.startup.wait()
    if act == "drain":
        function.startup.drain()
    assert count(function, "rookery_ready") == ready


def test_a_stranger_cannot_make_label_values(function, jpeg):
    function.client.get("/known-path?imageName=x")
    known = set(samples(function))
    for n in range(20):
        function.client.get(f"/stranger-{n}?imageName=stranger")
        function.client.open(f"/other-{n}", method="POST")
        function.client.open(f"/other-{n}", method=f"STRANGER{n}")
        function.client.get("/", headers={"X-Stranger": str(n)})
        post(function, jpeg, f"stranger/{n}")
    found = {value for _, labels in set(samples(function)) - known for _, value in labels}
    assert not {value for value in found if re.search("stranger|other", value, re.IGNORECASE)}


def test_what_the_server_refuses_is_counted_without_a_route():
    metrics = FunctionMetrics()
    metrics.count_refused("BodyTooLarge", 413)
    read = metrics.registry.get_sample_value
    assert read("rookery_requests_total", {"route": "none", "status": "413"}) == 1
    assert read("rookery_errors_total", {"error": "BodyTooLarge"}) == 1


def test_two_functions_count_for_themselves():
    one, other = FunctionMetrics(), FunctionMetrics()
    one.count_event("completed", 3)
    assert other.registry.get_sample_value("rookery_events_total", {"outcome": "completed"}) is None


def test_the_instance_is_named_and_changes_with_it(function):
    instance.renew()
    here = instance.current()
    labels = {"instance_id": here.id, "hostname": here.hostname}
    assert count(function, "rookery_instance_info", **labels) == 1
    instance.renew()
    assert count(function, "rookery_instance_info", **labels) == 0
