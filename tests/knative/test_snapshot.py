"""The component that lets a Knative Service wake from a snapshot, as files."""

import copy
from pathlib import Path

import jsonschema
import pytest
import yaml

HERE = Path(__file__).parent
COMPONENT = HERE.parents[1] / "knative/components/snapshot"
SERVICE = {
    "apiVersion": "serving.knative.dev/v1",
    "kind": "Service",
    "metadata": {"name": "classify"},
    "spec": {"template": {"spec": {"containers": [{"image": "example.com/classify"}]}}},
}


def load(path):
    return yaml.safe_load(path.read_text())


def closed(schema):
    """Return *schema* so that it refuses fields it does not name, which a cluster drops."""
    if isinstance(schema, list):
        return [closed(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    found = {name: closed(value) for name, value in schema.items()}
    if "properties" in found and not found.get("x-kubernetes-preserve-unknown-fields"):
        found.setdefault("additionalProperties", False)
    return found


@pytest.fixture(scope="module")
def validator():
    definition = load(HERE / "serving-service.yaml")["spec"]["versions"][0]
    schema = definition["schema"]["openAPIV3Schema"]
    spec = closed(schema["properties"]["spec"])
    return jsonschema.Draft7Validator({**schema, "properties": {"spec": spec}})


@pytest.fixture
def patched():
    """The Service, after the component's patch."""
    service = copy.deepcopy(SERVICE)
    for operation in load(COMPONENT / "service.yaml"):
        assert operation["op"] == "add"
        *parents, last = operation["path"].strip("/").split("/")
        place = service
        for name in parents:
            place = place[int(name) if isinstance(place, list) else name]
        place[last] = operation["value"]
    return service


def test_the_component_takes_every_file_in_its_folder():
    files = {path.name for path in COMPONENT.iterdir()} - {"kustomization.yaml"}
    assert {patch["path"] for patch in load(COMPONENT / "kustomization.yaml")["patches"]} == files


def test_the_patch_goes_to_the_service_of_the_function():
    (patch,) = load(COMPONENT / "kustomization.yaml")["patches"]
    group, _ = SERVICE["apiVersion"].split("/")
    assert patch["target"] == {"group": group, "kind": "Service", "name": "classify"}


def test_the_patched_service_is_what_the_definition_serves(validator, patched):
    assert [error.message for error in validator.iter_errors(patched)] == []


@pytest.mark.parametrize("field", ["capability", "privileges"])
def test_the_check_would_find_a_wrong_field(validator, patched, field):
    (container,) = patched["spec"]["template"]["spec"]["containers"]
    container["securityContext"][field] = ["CHECKPOINT_RESTORE"]
    assert not validator.is_valid(patched)


def test_no_more_is_asked_for_than_one_capability(patched):
    (container,) = patched["spec"]["template"]["spec"]["containers"]
    context = container["securityContext"]
    assert context["capabilities"] == {"add": ["CHECKPOINT_RESTORE"]}
    assert "privileged" not in context
