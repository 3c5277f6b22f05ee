import io
import threading
from urllib.parse import quote

import pytest

from rookery.errors import BackendFailed, ModelInvalid
from rookery.serving.health_paths import LIVENESS, READINESS

PENGUIN = [["king penguin, Aptenodytes patagonica"]]
MAX_BODY_BYTES = 1_000_000


def form(*parts):
    """A multipart form of (field, file name or None, bytes) parts."""
    data = {}
    for name, filename, content in parts:
        part = content if filename is None else (io.BytesIO(content), filename)
        data.setdefault(name, []).append(part)
    return {"data": data, "content_type": "multipart/form-data"}


def refusal(response):
    assert response.content_type == "application/json"
    assert set(response.json) == {"error", "message"}
    return response.status_code, response.json["error"]


@pytest.mark.parametrize(
    "content_type",
    [
        "image/jpeg",
        "image/png",
        "image/*",
        "IMAGE/JPEG; q=1",
        "application/octet-stream",
        "application/x-www-form-urlencoded",
        "application/x-www-form-urlencoded; charset=utf-8",
        None,
        "",
    ],
)
def test_a_posted_image_is_classified_whatever_a_client_calls_it(function, jpeg, content_type):
    response = function.client.post("/", data=jpeg, content_type=content_type)
    assert response.status_code == 200
    assert response.json["top_prediction"] == PENGUIN


def test_the_answer_says_who_saw_what_and_how_long_it_took(function, jpeg):
    answer = function.client.post("/", data=jpeg, content_type="image/jpeg").json
    assert answer["model"] == {"name": "penguins", "version": "1", "backend": "fixed"}
    assert answer["image"] == {"format": "JPEG", "width": 64, "height": 48}
    assert [score["index"] for score in answer["predictions"]] == [0, 1, 2]
    assert answer["predictions"][0]["probability"] > answer["predictions"][1]["probability"] > 0
    assert answer["timings"]["total_ms"] >= answer["timings"]["decode_ms"] > 0


def test_the_original_functions_answer_stands_first_and_keeps_its_shape(function, jpeg):
    response = function.client.post("/", data=jpeg, content_type="image/jpeg")
    assert response.text.startswith(
        '{"top_prediction":[["king penguin, Aptenodytes patagonica"]],"predictions":'
    )


def test_a_form_with_one_file_is_an_image(function, jpeg):
    response = function.client.post("/", **form(("image", "photo.jpg", jpeg)))
    assert response.json["top_prediction"] == PENGUIN


def test_a_forms_other_fields_do_not_matter(function, jpeg):
    response = function.client.post(
        "/", **form(("title", None, "at sea"), ("any", "photo.jpg", jpeg))
    )
    assert response.status_code == 200


@pytest.mark.parametrize("files", [0, 2])
def test_a_form_without_exactly_one_file_is_refused(function, jpeg, files):
    response = function.client.post(
        "/", **form(("text", None, "x"), *[(f"image{n}", "photo.jpg", jpeg) for n in range(files)])
    )
    assert refusal(response) == (400, "RequestInvalid")
    assert f"{files} files" in response.json["message"]


def test_two_files_under_one_name_are_two_files(function, jpeg):
    response = function.client.post("/", **form(("i", "a.jpg", jpeg), ("i", "b.jpg", jpeg)))
    assert refusal(response) == (400, "RequestInvalid")


@pytest.mark.parametrize(
    "content_type", ["multipart/form-data", "multipart/form-data; boundary=other"]
)
def test_a_form_that_cannot_be_read_has_no_file(function, content_type):
    response = function.client.post("/", data=b"--x\r\nnonsense", content_type=content_type)
    assert refusal(response) == (400, "RequestInvalid")


def test_a_form_of_a_thousand_parts_is_not_called_too_long(function):
    part = b"--x\r\nContent-Disposition: form-data; name=f\r\n\r\nv\r\n"
    response = function.client.post(
        "/", data=part * 1001 + b"--x--\r\n", content_type="multipart/form-data; boundary=x"
    )
    assert refusal(response) == (400, "RequestInvalid")
    assert "too many parts" in response.json["message"]


@pytest.mark.parametrize(
    "content_type",
    ["text/plain", "application/xml", "video/mp4", "application/cloudevents+avro", "nonsense"],
)
def test_another_content_type_is_refused_for_good(function, jpeg, content_type):
    response = function.client.post("/", data=jpeg, content_type=content_type)
    assert refusal(response) == (415, "UnsupportedMedia")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", (422, "ImageEmpty")),
        (b"I am text, and called photo.jpg", (422, "ImageUndecodable")),
        (b"II*\0 a TIFF", (415, "FormatNotAllowed")),
        (b"%PDF-1.7", (415, "FormatNotAllowed")),
    ],
)
def test_bytes_that_are_no_image_are_refused_for_good(function, body, expected):
    response = function.client.post("/", data=body, content_type="image/jpeg")
    assert refusal(response) == expected


def test_a_truncated_image_is_refused_for_good(function, jpeg):
    response = function.client.post("/", data=jpeg[: len(jpeg) // 2], content_type="image/jpeg")
    assert refusal(response) == (422, "ImageUndecodable")


def test_a_body_of_exactly_the_limit_is_read(function):
    response = function.client.post("/", data=b"x" * MAX_BODY_BYTES, content_type="image/png")
    assert refusal(response) == (422, "ImageUndecodable")


@pytest.mark.parametrize(
    "content_type", ["image/png", "application/json", "multipart/form-data; boundary=x"]
)
def test_a_longer_body_is_refused(function, content_type):
    part = b'--x\r\nContent-Disposition: form-data; name=f; filename="a.png"\r\n\r\n'
    body = part + b"x" * MAX_BODY_BYTES + b"\r\n--x--\r\n"
    response = function.client.post("/", data=body, content_type=content_type)
    assert refusal(response) == (413, "BodyTooLarge")
    assert "1,000,000 bytes" in response.json["message"]


def test_a_body_without_a_length_is_refused_as_soon_as_it_is_too_long(function):
    response = function.client.post(
        "/",
        input_stream=io.BytesIO(b"x" * (MAX_BODY_BYTES + 1)),
        environ_overrides={"wsgi.input_terminated": True},
        content_type="image/png",
    )
    assert refusal(response) == (413, "BodyTooLarge")


@pytest.mark.parametrize("name", [None, "", "test1", "test1.jpg", "nobody", "test1.JPG"])
def test_a_named_image_is_classified_and_an_unknown_one_is_the_default(function, name):
    response = function.client.get("/", query_string={} if name is None else {"imageName": name})
    assert response.status_code == 200
    assert response.json["top_prediction"] == PENGUIN


@pytest.mark.parametrize(
    "name",
    [
        "../../etc/passwd",
        "..%2f..%2fetc%2fpasswd",
        "%2e%2e/secret",
        "../secret",
        "../secret.jpg",
        "/etc/passwd",
        "data/../../secret.jpg",
        "test1.jpg\0.png",
        "\0",
        "\ud800".encode("utf-8", "surrogatepass").decode("latin-1"),
        "." * 5000,
    ],
)
@pytest.mark.parametrize("encoded", [True, False])
def test_no_name_leads_out_of_the_folder(function, gallery_folder, name, encoded):
    # 10 by 10 pixels, so that an answer from outside would be seen.
    outside = _png(10, 10)
    (gallery_folder.parent / "secret.jpg").write_bytes(outside)
    (gallery_folder.parent / "secret").write_bytes(outside)
    query = f"imageName={quote(name, safe='') if encoded else name}"
    response = function.client.get("/", query_string=query)
    assert response.status_code == 200
    assert response.json["image"]["width"] == 64


def test_without_a_default_image_the_operator_is_told_what_to_do(function, gallery_folder):
    (gallery_folder / "test1.jpg").unlink()
    response = function.client.get("/")
    assert refusal(response) == (500, "Misconfigured")
    assert "ROOKERY_DATA_DIR" in response.json["message"]


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/", {"GET", "HEAD", "OPTIONS", "POST"}),
        ("DELETE", "/", {"GET", "HEAD", "OPTIONS", "POST"}),
        ("POST", "/health/liveness", {"GET", "HEAD", "OPTIONS"}),
        ("POST", "/metrics", {"GET", "HEAD", "OPTIONS"}),
        ("PATCH", "/openapi.json", {"GET", "HEAD", "OPTIONS"}),
    ],
)
def test_a_wrong_method_is_told_the_right_ones(function, method, path, allowed):
    response = function.client.open(path, method=method)
    assert refusal(response) == (405, "MethodNotAllowed")
    assert {one.strip() for one in response.headers["Allow"].split(",")} == allowed


@pytest.mark.parametrize("path", ["/nothing", "/health", "/healthz/", "/v1/models", "/%00"])
def test_an_unknown_path_is_404_as_json(function, path):
    assert refusal(function.client.get(path)) == (404, "NotFound")


@pytest.mark.parametrize("path", [*LIVENESS, *READINESS, "/metrics", "/openapi.json"])
def test_every_other_route_answers(function, path):
    function.startup.begin()
    function.startup.wait()
    assert function.client.get(path).status_code == 200


def test_the_first_request_starts_the_loading_and_waits_for_it(function, jpeg):
    assert function.startup.state == "cold"
    assert function.client.post("/", data=jpeg, content_type="image/jpeg").status_code == 200
    assert function.startup.state == "ready"


def test_a_model_that_is_not_there_in_time_is_503_and_worth_a_retry(make_function, jpeg):
    function = make_function(opened=(opened := threading.Event()), wait_seconds=0)
    response = function.client.post("/", data=jpeg, content_type="image/jpeg")
    opened.set()
    assert refusal(response) == (503, "ModelLoading")
    assert response.headers["Retry-After"] == "2"


def test_a_failed_start_says_why_to_every_request(make_function, jpeg):
    function = make_function(fails_with=ModelInvalid("labels.txt is missing"))
    for _ in range(2):
        response = function.client.post("/", data=jpeg, content_type="image/jpeg")
        assert refusal(response) == (500, "ModelInvalid")
        assert response.json["message"] == "labels.txt is missing"


def test_a_failing_backend_is_500_which_brokers_retry(function, jpeg, monkeypatch):
    def fail(*_):
        raise BackendFailed("the library said no")

    monkeypatch.setattr(type(function.model), "__call__", fail)
    response = function.client.post("/", data=jpeg, content_type="image/jpeg")
    assert refusal(response) == (500, "BackendFailed")


def test_a_fault_of_ours_is_500_and_its_traceback_stays_in_the_log(
    function, jpeg, monkeypatch, caplog
):
    def fail(*_):
        raise RuntimeError("a secret of the implementation")

    monkeypatch.setattr(type(function.model), "__call__", fail)
    response = function.client.post("/", data=jpeg, content_type="image/jpeg")
    assert refusal(response) == (500, "Unexpected")
    assert "secret" not in response.text
    assert "a secret of the implementation" in caplog.text


def test_a_full_gate_is_429_and_says_when_to_come_back(make_function, jpeg):
    function = make_function(concurrency=1, queue=0)
    with function.gate.admit():
        response = function.client.post("/", data=jpeg, content_type="image/jpeg")
    assert refusal(response) == (429, "Overloaded")
    assert response.headers["Retry-After"] == "1"


def test_a_full_gate_is_429_while_the_model_is_loading_too(make_function, jpeg, wait_until):
    function = make_function(concurrency=1, queue=0, opened=(opened := threading.Event()))
    waiting = threading.Thread(
        target=lambda: function.app.test_client().post("/", data=jpeg, content_type="image/jpeg")
    )
    waiting.start()
    try:
        wait_until(lambda: function.gate.inside == 1, "the first request to be admitted")
        response = function.client.get("/")
    finally:
        opened.set()
    waiting.join()
    assert refusal(response) == (429, "Overloaded")


def test_probes_and_metrics_are_answered_while_the_gate_is_full(make_function):
    function = make_function(concurrency=1, queue=0)
    function.startup.begin()
    function.startup.wait()
    with function.gate.admit():
        answers = [
            function.client.get(path).status_code
            for path in ("/health/liveness", "/health/readiness", "/metrics")
        ]
    assert answers == [200, 200, 200]


def _png(width, height):
    from PIL import Image

    encoded = io.BytesIO()
    Image.new("RGB", (width, height)).save(encoded, "PNG")
    return encoded.getvalue()
