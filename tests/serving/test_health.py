import threading

import pytest

from rookery.errors import ModelNotFound
from rookery.serving.health_paths import LIVENESS, READINESS
from rookery.status import BODY_LIMIT


def readiness(function):
    response = function.client.get("/health/readiness")
    return response.status_code, response.json


@pytest.mark.parametrize("path", LIVENESS)
def test_liveness_answers_before_the_model_is_there(make_function, path):
    function = make_function(opened=(opened := threading.Event()))
    response = function.client.get(path)
    opened.set()
    assert (response.status_code, response.json) == (200, {"live": True})


@pytest.mark.parametrize("path", [*LIVENESS, *READINESS])
def test_a_probe_starts_the_loading(function, path):
    function.client.get(path)
    function.startup.wait()
    assert function.startup.state == "ready"


@pytest.mark.parametrize("path", READINESS)
def test_readiness_follows_the_model(make_function, path):
    function = make_function(opened=(opened := threading.Event()))
    before = function.client.get(path)
    opened.set()
    function.startup.wait()
    after = function.client.get(path)
    assert (before.status_code, before.json) == (503, {"ready": False, "state": "loading"})
    assert (after.status_code, after.json) == (200, {"ready": True, "state": "ready"})


def test_a_draining_function_is_live_and_not_ready_and_still_answers(function, jpeg):
    function.startup.begin()
    function.startup.wait()
    function.startup.drain()
    assert readiness(function) == (503, {"ready": False, "state": "draining"})
    assert function.client.get("/health/liveness").status_code == 200
    assert function.client.post("/", data=jpeg, content_type="image/jpeg").status_code == 200


def test_a_failed_start_is_live_and_says_what_is_wrong(make_function):
    function = make_function(fails_with=ModelNotFound("there is no model x"))
    function.startup.begin()
    function.startup.wait()
    status, body = readiness(function)
    assert status == 503
    assert body == {
        "ready": False,
        "state": "failed",
        "error": "ModelNotFound",
        "message": "there is no model x",
    }


def test_what_is_wrong_is_said_briefly(make_function):
    function = make_function(fails_with=ModelNotFound("x" * 100_000))
    function.startup.begin()
    function.startup.wait()
    assert len(readiness(function)[1]["message"]) < BODY_LIMIT
