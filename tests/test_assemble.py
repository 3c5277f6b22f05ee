import io
import json
from pathlib import Path

import boto3
import pytest
from flask import Request
from werkzeug.test import EnvironBuilder

from rookery.assemble import Function, load_function
from rookery.connections import connect
from rookery.backends.fixed import FixedBackend
from rookery.errors import DedupInvalid, FunctionInvalid, ModelNotFound, SettingsInvalid
from rookery.function_folder import FunctionFolder
from rookery.images.limits import ImageLimits
from rookery.lifecycle.phases import load, warm
from rookery.serving.metrics import FunctionMetrics
from rookery.settings import Settings

FUNCTIONS = Path(__file__).parents[1] / "functions"


@pytest.fixture
def settings(monkeypatch, environ):
    """Make the settings of the fixed model's environment, and of more."""
    for name in ("K_SINK", "K_CE_OVERRIDES", "S3_BUCKET_NAME", "S3_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)

    def read(**more):
        for name, value in {**environ, **more}.items():
            if name.startswith(("ROOKERY_", "S3_", "K_", "PORT")):
                monkeypatch.setenv(name, value)
        return Settings.read()

    return read


def asked(method="GET", path="/", **options):
    return Request(EnvironBuilder(method=method, path=path, **options).get_environ())


# --- a process that somebody else serves ---------------------------------------------------


def test_a_function_that_was_made_has_done_nothing(tmp_path):
    function = Function("classify", folder=tmp_path)
    assert (function.name, list(tmp_path.iterdir())) == ("classify", [])


def test_a_request_handed_over_by_another_server_is_answered(settings, jpeg):
    settings()
    function = Function("classify", folder=FUNCTIONS / "classify")
    response = function.respond(
        asked("POST", input_stream=io.BytesIO(jpeg), content_length=len(jpeg))
    )
    assert response.status_code == 200
    assert response.json["model"]["name"] == "penguins"


def test_the_functions_own_data_folder_is_the_gallery(settings):
    settings()
    function = Function("classify", folder=FUNCTIONS / "classify")
    response = function.respond(asked(query_string={"imageName": "test2"}))
    assert (response.json["image"]["width"], response.json["image"]["height"]) == (640, 427)


def test_another_data_folder_can_be_set(settings, jpeg, tmp_path):
    (tmp_path / "mine.jpg").write_bytes(jpeg)
    settings(ROOKERY_DATA_DIR=str(tmp_path), ROOKERY_DEFAULT_IMAGE="mine")
    function = Function("classify", folder=FUNCTIONS / "classify")
    assert function.respond(asked()).json["image"]["width"] == 64


def test_wrong_settings_are_an_answer_and_no_crash_and_read_again_once_mended(settings):
    settings()
    with pytest.MonkeyPatch.context() as wrong:
        wrong.setenv("ROOKERY_TOP_K", "none")
        function = Function("classify", folder=FUNCTIONS / "classify")
        response = function.respond(asked())
    assert (response.status_code, response.json["error"]) == (500, "SettingsInvalid")
    assert "ROOKERY_TOP_K" in response.json["message"]
    assert function.respond(asked()).status_code == 200


def test_a_missing_model_is_an_answer_that_says_how_to_get_it(settings):
    settings(ROOKERY_MODEL="dodo")
    function = Function("classify", folder=FUNCTIONS / "classify")
    response = function.respond(asked())
    assert (response.status_code, response.json["error"]) == (500, "ModelNotFound")
    assert "rookery models pull dodo" in response.json["message"]


# --- a process of our own ------------------------------------------------------------------


def test_serving_a_missing_model_ends_with_the_reason(settings):
    listened = []
    function = Function("classify", folder=FUNCTIONS / "classify")
    with pytest.raises(ModelNotFound, match="dodo"):
        function.serve(settings(ROOKERY_MODEL="dodo"), on_listening=listened.append)
    assert len(listened) == 1


def test_overrides_that_cannot_be_read_end_the_start(settings):
    function = Function("classify", folder=FUNCTIONS / "classify")
    with pytest.raises(SettingsInvalid, match="K_CE_OVERRIDES"):
        function.serve(
            settings(K_SINK="http://127.0.0.1:1", K_CE_OVERRIDES="{"), on_listening=print
        )


# --- connecting ----------------------------------------------------------------------------


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
    with connect(warmed, "classify", everything, FunctionMetrics(), None) as subscriber:
        assert subscriber is not None


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
        with connect(warmed, name, everything, metrics, None) as subscriber:
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


def test_a_dedup_file_that_cannot_be_used_ends_the_start(settings):
    function = Function("classify", folder=FUNCTIONS / "classify")
    with pytest.raises(DedupInvalid, match="/dev/null"):
        function.serve(settings(ROOKERY_DEDUP="sqlite:/dev/null/x.db"), on_listening=print)


def test_a_redis_that_is_down_does_not_hinder_the_start(warmed, settings, unused_url):
    everything = settings(ROOKERY_DEDUP=unused_url.replace("http", "redis"))
    with connect(warmed, "classify", everything, FunctionMetrics(), None) as subscriber:
        assert subscriber is not None


# --- function folders ----------------------------------------------------------------------


def folder_with(tmp_path, source):
    (tmp_path / "birds.py").write_text(source)
    return FunctionFolder(name="birds", path=tmp_path)


def test_the_file_named_after_the_function_defines_it(tmp_path):
    folder = folder_with(
        tmp_path,
        "from pathlib import Path\n"
        "from rookery.assemble import Function\n"
        "function = Function('birds', folder=Path(__file__).parent)\n",
    )
    assert load_function(folder).name == "birds"


def test_our_own_function_can_be_loaded():
    assert load_function(FunctionFolder("classify", FUNCTIONS / "classify")).name == "classify"


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("", "must define `function = Function('birds', folder=...)`"),
        ("function = 7", "must define `function"),
        ("def (", "cannot be imported: SyntaxError"),
        ("import no_such_module", "cannot be imported: ModuleNotFoundError: No module named 'no_"),
        ("1 / 0", "cannot be imported: ZeroDivisionError"),
    ],
)
def test_a_file_that_does_not_is_named_with_what_is_wrong(tmp_path, source, message):
    with pytest.raises(FunctionInvalid) as raised:
        load_function(folder_with(tmp_path, source))
    assert message in str(raised.value)
    assert "birds.py" in str(raised.value)
