import json
import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml
from jsonschema import Draft202012Validator

from rookery.events.announcement import announce
from rookery.events.broker.entry import entry
from rookery.events.broker.trigger import parse_triggers
from rookery.events.object_created import from_event
from rookery.events.wire import from_http, is_event
from rookery.function_folder import EventSubscription, FunctionFolder, find_functions
from rookery.local.access import ACCESS_KEY, SECRET_KEY, S3Access
from rookery.local.plan import Ports, plan, results_buckets, triggers

ROOT = Path(__file__).parents[2]
SAMPLES = sorted((ROOT / "events/samples").glob("*/*.json"))
HOME = Path("/srv/rookery home")
BIRDS = FunctionFolder(
    name="birds",
    path=Path("functions/birds"),
    envs={"ROOKERY_MODEL": "gulls", "S3_BUCKET_NAME": "elsewhere"},
    subscriptions=(
        EventSubscription("default", {"type": "com.amazonaws.s3.ObjectCreated:Put"}),
        EventSubscription("default", {"type": "com.amazonaws.s3.ObjectCreated:Copy", "x": "1"}),
    ),
)
CROWS = FunctionFolder(name="crows", path=Path("functions/crows"))
PORTS = Ports(storage=9000, broker=8081, functions=(8080, 8082))


@pytest.fixture
def local():
    return plan((BIRDS, CROWS), PORTS, bucket="images", home=HOME)


def named(local, name):
    (found,) = (process for process in local.processes if process.name == name)
    return found


def test_processes_are_in_the_order_of_their_start(local):
    names = [process.name for process in local.processes]
    assert names == ["storage", "broker", "source", "birds", "crows"]


def test_the_embedded_storage_has_the_buckets_of_results_too():
    local = plan((CROWS,), Ports(9000, 8081, (8080,)), bucket="images", home=HOME, results=["out"])

    command = named(local, "storage").command
    assert [word for word in command if word.startswith("--bucket")] == [
        "--bucket=images",
        "--bucket=out",
    ]


@pytest.mark.parametrize(
    ("envs", "environ", "buckets"),
    [
        pytest.param({}, {}, (), id="none"),
        pytest.param({"ROOKERY_RESULTS_BUCKET": "a"}, {}, ("a",), id="the-function's"),
        pytest.param(
            {"ROOKERY_RESULTS_BUCKET": "a"},
            {"ROOKERY_RESULTS_BUCKET": "b"},
            ("b",),
            id="the-environment-counts-more",
        ),
        pytest.param({"ROOKERY_RESULTS_BUCKET": "images"}, {}, (), id="the-images'-own"),
    ],
)
def test_buckets_of_results_are_those_that_the_functions_will_use(envs, environ, buckets):
    function = FunctionFolder(name="owls", path=Path("functions/owls"), envs=envs)

    assert results_buckets([function], environ, bucket="images") == buckets


def test_every_process_is_this_rookery(local):
    for process in local.processes:
        assert process.command[1:3] == ("-m", "rookery")


def test_everything_has_its_own_address_on_this_machine(local):
    assert local.access.url == "http://127.0.0.1:9000"
    assert local.broker_url == "http://127.0.0.1:8081"
    assert local.function_urls == {
        "birds": "http://127.0.0.1:8080",
        "crows": "http://127.0.0.1:8082",
    }


@pytest.mark.parametrize(
    ("name", "port"), [("storage", 9000), ("broker", 8081), ("birds", 8080), ("crows", 8082)]
)
def test_a_server_listens_where_its_readiness_is_asked_for(local, name, port):
    process = named(local, name)
    assert f"--port={port}" in process.command
    assert urlsplit(process.ready_url).port == port


def test_the_source_sends_the_buckets_events_to_the_broker(local):
    command = named(local, "source").command
    assert "--sink=http://127.0.0.1:8081" in command
    assert any(part.startswith("--queue-url=") and "images-events" in part for part in command)
    assert "--queue=images-events" in named(local, "storage").command


@pytest.mark.parametrize("name", ["birds", "crows"])
def test_a_function_reads_our_bucket_and_answers_our_broker(local, name):
    env = named(local, name).env
    assert env["K_SINK"] == "http://127.0.0.1:8081"
    assert env["ROOKERY_HOME"] == str(HOME)
    assert (env["S3_ENABLED"], env["S3_BUCKET_NAME"]) == ("true", "images")
    assert env["S3_ENDPOINT_URL"] == "http://127.0.0.1:9000"
    assert (env["S3_ACCESS_KEY"], env["S3_SECRET_KEY"]) == (ACCESS_KEY, SECRET_KEY)


def test_what_func_yaml_says_does_not_override_the_users_own_environment(local):
    # `rookery serve` reads func.yaml itself, and the environment wins over it.
    assert "ROOKERY_MODEL" not in named(local, "birds").env


def test_a_function_is_served_from_its_folder_wherever_that_is(local):
    assert "functions/birds/" in named(local, "birds").command


def test_secrets_are_in_no_command_line(local):
    assert not any(SECRET_KEY in part for process in local.processes for part in process.command)


def test_the_broker_is_given_the_triggers_file(local):
    assert f"--triggers={HOME}/triggers.yaml" in named(local, "broker").command


def test_a_function_without_a_port_is_a_fault():
    with pytest.raises(ValueError, match="argument"):
        plan((BIRDS, CROWS), Ports(1, 2, (3,)), bucket="images", home=HOME)


# --- on a Ceph -----------------------------------------------------------------------------

CEPH = S3Access("http://127.0.0.1:7480", "somewhere", "ACCESS", "hidden")


@pytest.fixture
def on_ceph():
    ports = Ports(storage=0, broker=8081, functions=(8080,), receiver=8082)
    return plan((BIRDS,), ports, bucket="images", home=HOME, ceph=CEPH)


def test_a_ceph_takes_the_place_of_storage(on_ceph):
    assert [process.name for process in on_ceph.processes] == ["broker", "source", "birds"]
    assert on_ceph.access == CEPH


def test_ceph_is_to_notify_the_source_which_sends_to_the_broker(on_ceph):
    source = named(on_ceph, "source")
    assert on_ceph.receiver_url == "http://127.0.0.1:8082/"
    assert {"ceph", "--port=8082", "--sink=http://127.0.0.1:8081"} <= set(source.command)
    assert urlsplit(source.ready_url).port == 8082


def test_only_functions_get_the_keys_of_a_ceph(on_ceph):
    holders = [one.name for one in on_ceph.processes if "hidden" in one.env.values()]
    assert holders == ["birds"]
    assert not any("hidden" in part for one in on_ceph.processes for part in one.command)


def test_a_function_reads_the_bucket_in_ceph(on_ceph):
    env = named(on_ceph, "birds").env
    assert (env["S3_ENDPOINT_URL"], env["S3_AWS_REGION"]) == (CEPH.url, "somewhere")
    assert (env["S3_ACCESS_KEY"], env["S3_SECRET_KEY"]) == ("ACCESS", "hidden")


# --- triggers ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def definition():
    """The Trigger CustomResourceDefinition."""
    return yaml.safe_load((Path(__file__).parent / "eventing-trigger.yaml").read_text())


def closed(schema):
    """*schema* without its openness: it keeps unknown fields, and Knative ignores them."""
    if isinstance(schema, list):
        return [closed(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    fields = {name: closed(value) for name, value in schema.items()}
    if isinstance(fields.get("properties"), dict):
        fields.setdefault("additionalProperties", False)
    return fields


def test_there_is_one_trigger_for_every_subscription(local):
    documents = list(yaml.safe_load_all(local.triggers))
    assert [document["metadata"]["name"] for document in documents] == [
        "birds-function-trigger-0",
        "birds-function-trigger-1",
    ]
    assert [document["spec"]["filter"]["attributes"] for document in documents] == [
        dict(subscription.filters) for subscription in BIRDS.subscriptions
    ]
    assert {document["spec"]["subscriber"]["uri"] for document in documents} == {
        local.function_urls["birds"]
    }


def test_the_triggers_are_what_knative_takes(local, definition):
    version = definition["spec"]["versions"][0]
    validator = Draft202012Validator(
        closed(version["schema"]["openAPIV3Schema"]["properties"]["spec"])
    )
    for document in yaml.safe_load_all(local.triggers):
        assert document["apiVersion"] == f"{definition['spec']['group']}/{version['name']}"
        assert document["kind"] == definition["spec"]["names"]["kind"]
        assert re.fullmatch(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", document["metadata"]["name"])
        validator.validate(document["spec"])


def test_the_check_of_the_triggers_would_find_a_wrong_one(definition):
    schema = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    validator = Draft202012Validator(closed(schema))
    assert not validator.is_valid({"broker": 7})
    assert not validator.is_valid({"broker": "default", "filters_": []})


@pytest.fixture(scope="module")
def shipped():
    """The triggers of `rookery up` for the functions of this repository, as the broker has them."""
    functions = find_functions(ROOT / "functions", {})
    urls = {function.name: f"http://127.0.0.1/{function.name}" for function in functions}
    return parse_triggers(triggers(functions, urls))


def sent(sample):
    """What comes to the broker of a sample: events as they are, the rest through a source."""
    headers, body = sample.get("headers", {}), json.dumps(sample["body"]).encode()
    return from_http(headers, body) if is_event(headers) else announce(sample["body"])


@pytest.mark.parametrize("file", SAMPLES, ids=lambda file: f"{file.parent.name}-{file.stem}")
def test_every_creation_that_was_captured_goes_to_every_function_once(shipped, file):
    names = sorted(function.name for function in find_functions(ROOT / "functions", {}))
    sample = json.loads(file.read_text())
    events = sent(sample)
    assert sum(len(from_event(event)) for event in events) == len(sample["objects"])
    for event in events:
        taken = entry(event, shipped).triggers
        assert sorted(name.partition("-")[0] for name in taken) == (
            names if from_event(event) else []
        ), event.type


def test_a_refused_event_is_tried_for_as_long_as_the_page_says(shipped):
    (delivery,) = {trigger.delivery for trigger in shipped}
    pauses = [delivery.backoff.wait(number) for number in range(1, delivery.retry + 1)]
    page = " ".join((ROOT / "docs/security.md").read_text().split())
    said = re.search(r"ten times after the first: with their pauses .* is about (\d+) s", page)
    assert delivery.retry == 10
    assert sum(pauses) == pytest.approx(int(said[1]), rel=0.05)


def test_there_are_captured_creations_of_every_producer():
    kinds = {file.parent.name for file in SAMPLES if json.loads(file.read_text())["objects"]}
    assert {"aws", "ceph-rgw", "cloudevents-adapter", "knative-cephsource", "minio"} <= kinds


def test_without_subscriptions_there_are_no_triggers():
    assert list(yaml.safe_load_all(triggers((CROWS,), {"crows": "http://x"}))) == []


@pytest.mark.parametrize("value", ["true", "7", "a: b", "ümlaut", "2026-01-01", ""])
def test_a_filters_value_stays_the_text_it_is(value):
    subscribed = FunctionFolder(
        name="birds", path=Path(), subscriptions=(EventSubscription("b", {"x": value}),)
    )
    (document,) = yaml.safe_load_all(triggers((subscribed,), {"birds": "http://x"}))
    assert document["spec"]["filter"]["attributes"] == {"x": value}
