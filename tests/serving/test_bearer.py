import json

import pytest
from werkzeug.test import Client

from rookery.serving.bearer import with_bearer


@pytest.fixture
def tokens():
    return ["secret-token"]


@pytest.fixture
def refused():
    return []


@pytest.fixture
def client(tokens, refused):
    def app(environ, start_response):
        del environ
        start_response("200 OK", [])
        return [b"hello"]

    return Client(
        with_bearer(app, lambda: tuple(tokens), lambda code, status: refused.append((code, status)))
    )


def ask(client, header, method="POST", path="/"):
    headers = {} if header is None else {"Authorization": header}
    return client.open(path, method=method, headers=headers)


@pytest.mark.parametrize(
    "header", ["Bearer secret-token", "bearer secret-token", "BEARER  secret-token "]
)
def test_whoever_has_the_token_is_let_in(client, refused, header):
    assert ask(client, header).text == "hello"
    assert refused == []


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        "Bearer secret",
        "Bearer secret-token2",
        "Bearer Secret-token",
        "Bearer sécret",
        "Basic secret-token",
        "secret-token",
        "Bearer secret-token, Bearer x",
    ],
)
def test_whoever_has_none_is_401_as_json(client, refused, header):
    answer = ask(client, header)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="rookery"'
    assert answer.content_type == "application/json"
    assert json.loads(answer.data)["error"] == "TokenRefused"
    assert refused == [("TokenRefused", 401)]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/"), ("POST", "/metrics"), ("POST", "/health/liveness"), ("POST", "/replay"),
        ("GET", "/"), ("GET", "/?imageName=test1"), ("GET", "/events"), ("GET", "/deadletters"),
        ("GET", "/triggers"), ("DELETE", "/deadletters"), ("GET", "/health"), ("GET", "//metrics"),
        ("GET", "/events?access_token=secret-token"), ("HEAD", "/"),
    ],
)  # fmt: skip
def test_everything_that_takes_or_shows_events_is_closed(client, method, path):
    assert ask(client, None, method, path).status_code == 401


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/health/liveness"), ("GET", "/health/readiness"), ("HEAD", "/health/readiness"),
        ("GET", "/readyz"), ("GET", "/metrics"), ("OPTIONS", "/"),
    ],
)  # fmt: skip
def test_probes_and_metrics_are_open(client, method, path):
    assert ask(client, None, method, path).status_code == 200


def test_while_tokens_change_both_are_let_in(client, tokens):
    tokens[:] = ["new", "secret-token"]
    assert ask(client, "Bearer new").status_code == 200
    assert ask(client, "Bearer secret-token").status_code == 200
    tokens[:] = ["new"]
    assert ask(client, "Bearer secret-token").status_code == 401


def test_a_sender_without_headers_names_the_token_in_the_url(client):
    assert ask(client, None, path="/?access_token=secret-token&x=1").status_code == 200
    assert ask(client, None, path="/?access_token=other").status_code == 401
    assert ask(client, None, path="/?access_token=").status_code == 401


def test_without_tokens_everybody_is_let_in():
    def app(environ, start_response):
        raise NotImplementedError

    assert with_bearer(app, None, lambda *_: None) is app


@pytest.mark.parametrize("written", ["ab+cd/ef~g==", "ab%2Bcd%2Fef~g%3D%3D", "ab%2bcd/ef%7Eg=="])
def test_a_token_in_the_url_may_have_every_sign_a_token_can_have(tokens, client, written):
    tokens[:] = ["ab+cd/ef~g=="]
    assert ask(client, None, path=f"/?x=1+2&access_token={written}").status_code == 200
