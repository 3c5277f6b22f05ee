import json
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft4Validator

from rookery.events.object_created import EVENT_TYPES
from rookery.function_folder import find_functions

FUNCTIONS = Path(__file__).parents[2] / "functions"
FOLDERS = sorted(file.parent for file in FUNCTIONS.glob("*/func.yaml"))
every_function = pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)


@pytest.fixture(scope="module")
def validator():
    schema = json.loads((Path(__file__).parent / "func_yaml-schema.json").read_text())
    Draft4Validator.check_schema(schema)
    return Draft4Validator(schema)


def read(folder):
    document = yaml.safe_load((folder / "func.yaml").read_text(encoding="utf-8"))
    return json.loads(json.dumps(document, default=lambda moment: moment.isoformat()))


def test_there_are_functions():
    assert "classify" in {folder.name for folder in FOLDERS}


@every_function
def test_func_yaml_is_what_kn_func_reads(validator, folder):
    assert [error.message for error in validator.iter_errors(read(folder))] == []


@pytest.mark.parametrize(
    "change", [{"name": 7}, {"invok": "http"}, {"deploy": {"subscriptions": [{"filter": {}}]}}]
)
def test_the_check_would_find_a_wrong_one(validator, change):
    assert not validator.is_valid({**read(FUNCTIONS / "classify"), **change})


@every_function
def test_the_folder_the_module_and_the_function_have_one_name(folder):
    assert read(folder)["name"] == folder.name
    assert (folder / f"{folder.name}.py").is_file()


@every_function
def test_the_target_assembles_and_does_nothing_else(folder):
    assert len((folder / f"{folder.name}.py").read_text().splitlines()) < 40


@every_function
def test_its_probes_are_paths_that_it_answers(folder):
    from rookery.serving.health_paths import LIVENESS, READINESS

    probes = read(folder)["deploy"]["healthEndpoints"]
    assert probes["liveness"] in LIVENESS
    assert probes["readiness"] in READINESS


@every_function
def test_its_environment_is_settings_and_no_secret(folder):
    from rookery.settings import Settings

    known = {field.validation_alias.choices[0] for field in Settings.model_fields.values()}
    for item in read(folder)["run"]["envs"]:
        assert item["name"] in known
        assert "KEY" not in item["name"] or item["value"].startswith("{{ secret:")


@every_function
def test_it_subscribes_to_every_creation_in_every_spelling_once(folder):
    filters = [item["filters"] for item in read(folder)["deploy"]["subscriptions"]]
    assert all(each.keys() == {"type"} for each in filters)
    assert sorted(each["type"] for each in filters) == sorted(EVENT_TYPES)


def test_every_function_can_be_read():
    assert [found.name for found in find_functions(FUNCTIONS, {})] == [f.name for f in FOLDERS]
