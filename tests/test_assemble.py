import io
from pathlib import Path

import pytest
from flask import Request
from werkzeug.test import EnvironBuilder

from rookery.assemble import Function, load_function
from rookery.errors import DedupInvalid, FunctionInvalid, ModelNotFound, SettingsInvalid
from rookery.function_folder import FunctionFolder

FUNCTIONS = Path(__file__).parents[1] / "functions"


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


def test_a_dedup_file_that_cannot_be_used_ends_the_start(settings):
    function = Function("classify", folder=FUNCTIONS / "classify")
    with pytest.raises(DedupInvalid, match="/dev/null"):
        function.serve(settings(ROOKERY_DEDUP="sqlite:/dev/null/x.db"), on_listening=print)


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
