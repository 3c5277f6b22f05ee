import json
import re

import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator, validate
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from rookery.errors import StorageUnavailable
from rookery.events.wire import BATCH

NOTIFICATION = {
    "Records": [
        {
            "eventSource": "aws:s3",
            "eventName": "ObjectCreated:Put",
            "eventTime": "2026-01-01T00:00:00Z",
            "s3": {"bucket": {"name": "images"}, "object": {"key": "a.jpg", "eTag": "1"}},
        }
    ]
}


@pytest.fixture
def document(function):
    return function.client.get("/openapi.json").json


def assert_described(document, path, response):
    """The answer's status, content type and body are what the document says."""
    method = response.request.method.lower()
    responses = document["paths"][path][method]["responses"]
    described = responses.get(str(response.status_code)) or responses["default"]
    content = described.get("content", {})
    if not content:
        assert response.data == b""
        return
    media_type = response.content_type.partition(";")[0]
    assert media_type in content, f"{response.status_code} is not {media_type} in the document"
    schema = content[media_type].get("schema")
    if schema is None:
        return
    registry = Registry().with_resource(
        "urn:openapi", Resource.from_contents(document, default_specification=DRAFT202012)
    )
    absolute = json.loads(json.dumps(schema).replace('"#/', '"urn:openapi#/'))
    body = response.json if "json" in media_type else response.text
    if media_type == BATCH:
        body = json.loads(response.data)
    Draft202012Validator(absolute, registry=registry).validate(body)


def test_the_document_is_openapi_3_1(document):
    validate(document, cls=OpenAPIV31SpecValidator)


def test_every_route_is_described_and_every_description_has_a_route(function, document):
    routes = {rule.rule for rule in function.app.url_map.iter_rules()}
    assert set(document["paths"]) == routes


def test_operations_have_names_of_their_own(document):
    names = [
        operation["operationId"]
        for path in document["paths"].values()
        for operation in path.values()
    ]
    assert len(names) == len(set(names))


def test_the_limit_of_a_body_is_said(document):
    content = document["paths"]["/"]["post"]["requestBody"]["content"]
    assert content["image/*"]["schema"]["maxLength"] == 1_000_000


def test_answers_to_images_are_as_described(function, document, jpeg):
    for response in (
        function.client.get("/?imageName=test1"),
        function.client.post("/", data=jpeg, content_type="image/jpeg"),
        function.client.post("/", data=b"text", content_type="image/jpeg"),
        function.client.post("/", data=b"", content_type="text/plain"),
        function.client.post("/", data=b"x" * 1_000_001, content_type="image/png"),
    ):
        assert_described(document, "/", response)


def test_answers_to_events_are_as_described(make_function, jpeg):
    function = make_function(with_sink=False)
    document = function.client.get("/openapi.json").json
    function.store.objects["images", "a.jpg"] = jpeg
    two = {"Records": NOTIFICATION["Records"] * 2}
    elsewhere = json.loads(json.dumps(NOTIFICATION).replace('"images"', '"other"'))
    gone = json.loads(json.dumps(NOTIFICATION).replace("a.jpg", "gone.jpg"))
    statuses = []
    for body in (NOTIFICATION, two, {"Event": "s3:TestEvent"}, {}, elsewhere, gone):
        response = function.client.post("/", json=body)
        statuses.append(response.status_code)
        assert_described(document, "/", response)
    function.store.error = StorageUnavailable("down")
    response = function.client.post("/", json={"Records": [_other_object()]})
    assert_described(document, "/", response)
    assert [*statuses, response.status_code] == [200, 200, 202, 400, 403, 410, 503]


def test_probes_and_metrics_are_as_described(function, document):
    function.startup.begin()
    function.startup.wait()
    for state in ("ready", "draining"):
        for path in document["paths"]:
            if path != "/":
                assert_described(document, path, function.client.get(path))
        function.startup.drain()
        assert function.startup.state == "draining", state


def test_a_wrong_method_is_as_described(function, document):
    response = function.client.put("/")
    responses = document["paths"]["/"]["get"]["responses"]
    schema = responses["default"]["content"]["application/json"]["schema"]
    assert re.search("/Error$", schema["$ref"])
    assert set(response.json) == {"error", "message"}


def _other_object():
    record = json.loads(json.dumps(NOTIFICATION["Records"][0]))
    record["s3"]["object"]["key"] = "b.jpg"
    return record
