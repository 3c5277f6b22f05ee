"""The way from Ceph over a CephSource into a broker, as files."""

import json
from pathlib import Path

import jsonschema
import pytest
import yaml

from rookery.events.broker.document import Section
from rookery.events.broker.filters import parse_spec
from rookery.events.object_created import EVENT_NAMES, TYPE_PREFIXES
from rookery.events.wire import from_http
from rookery.notifications.document import read_wanted

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
COMPONENT = ROOT / "knative/components/cephsource"
SAMPLES = sorted((ROOT / "events/samples/knative-cephsource").glob("*.json"))


def load(path):
    return yaml.safe_load(path.read_text())


def schema_of(definition):
    return definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]


@pytest.fixture(scope="module")
def source():
    return load(COMPONENT / "cephsource.yaml")


@pytest.fixture(scope="module")
def service():
    return load(COMPONENT / "service.yaml")


@pytest.fixture(scope="module")
def trigger():
    return load(COMPONENT / "trigger.yaml")


@pytest.fixture(scope="module")
def passes(trigger):
    """Whether an event passes the trigger's filters, as our broker reads them."""
    problems = []
    found = parse_spec(Section.of(trigger["spec"], "spec", problems))
    assert problems == []
    return found.matches


def test_the_component_takes_every_file_in_its_folder():
    files = {path.name for path in COMPONENT.iterdir()} - {"kustomization.yaml"}
    assert set(load(COMPONENT / "kustomization.yaml")["resources"]) == files


def test_the_source_is_what_the_definition_serves(source):
    definition = load(HERE / "eventing-cephsource.yaml")["spec"]
    jsonschema.Draft7Validator(definition["versions"][0]["schema"]["openAPIV3Schema"]).validate(
        source
    )
    group, version = source["apiVersion"].split("/")
    assert group == definition["group"]
    assert version in {one["name"] for one in definition["versions"] if one["served"]}
    assert source["kind"] == definition["names"]["kind"]


def test_the_source_has_the_fields_of_its_adapter(source):
    # The definition takes anything; the adapter parses the port from a text.
    assert set(source["spec"]) == {"port", "sink"}
    assert isinstance(source["spec"]["port"], str)
    assert 0 < int(source["spec"]["port"]) < 2**16


def test_the_service_leads_to_the_source(source, service):
    assert service["spec"]["selector"] == {
        "eventing.knative.dev/sourceName": source["metadata"]["name"]
    }
    assert service["spec"]["ports"] == [{"port": 80, "targetPort": int(source["spec"]["port"])}]


def test_the_trigger_is_what_knative_takes(trigger, source):
    definition = load(ROOT / "tests/local/eventing-trigger.yaml")
    jsonschema.Draft7Validator(schema_of(definition)).validate(trigger)
    assert trigger["spec"]["broker"] == source["spec"]["sink"]["ref"]["name"]


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_what_a_cephsource_sends_passes_the_trigger(passes, path):
    sample = json.loads(path.read_text())
    (event,) = from_http(sample["headers"], json.dumps(sample["body"]).encode())
    assert passes({"type": event.type})


@pytest.mark.parametrize("prefix", TYPE_PREFIXES[1:])
@pytest.mark.parametrize("name", EVENT_NAMES)
def test_every_creation_as_ceph_spells_it_passes(passes, prefix, name):
    assert passes({"type": prefix + name})


def test_what_the_source_cannot_send_is_left_to_the_triggers_of_the_function(passes):
    assert not any(passes({"type": TYPE_PREFIXES[0] + name}) for name in EVENT_NAMES)


def test_a_removal_does_not_pass(passes):
    assert not passes({"type": "com.amazonaws.ObjectRemoved:Delete"})


@pytest.mark.parametrize("name", ["notifications", "notifications-more", "notifications-aws"])
def test_our_files_of_notifications_can_be_read(name):
    environ = {
        "ROOKERY_AMQP_URL": "amqps://user:secret@rabbit/",
        "ROOKERY_KAFKA_URL": "kafka://user:secret@kafka:9093",
    }
    wanted = read_wanted((ROOT / f"ceph/{name}.yaml").read_text(), environ)
    assert wanted.notifications


def test_a_topic_pushes_to_the_service(service):
    environ = {"ROOKERY_AMQP_URL": "amqp://h", "ROOKERY_KAFKA_URL": "kafka://h"}
    text = (ROOT / "ceph/notifications-more.yaml").read_text()
    hosts = {topic.endpoint.url for topic in read_wanted(text, environ).topics}
    assert f"http://{service['metadata']['name']}.default.svc.cluster.local/" in hosts
