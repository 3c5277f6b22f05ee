import pytest

from rookery.notifications.endpoint import Endpoint, problem_of


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://127.0.0.1:8082/", "http://127.0.0.1:8082/"),
        ("amqps://user:do-not-tell@rabbit:5671/vhost", "amqps://***@rabbit:5671/vhost"),
        ("kafka://user:p@ss@broker", "kafka://***@broker"),
        ("https://h/path?token=do-not-tell", "https://h/path?…"),
        ("http://h:do-not-tell", "http://…"),
    ],
)
def test_an_endpoint_is_shown_without_its_secrets(url, shown):
    assert str(Endpoint(url)) == shown
    assert "do-not-tell" not in repr(Endpoint(url))


@pytest.mark.parametrize(
    ("url", "has"), [("amqp://u:p@h/", True), ("amqp://h/u:p@x", False), ("http://h", False)]
)
def test_a_user_in_the_url_is_a_secret(url, has):
    assert Endpoint(url).has_secret is has


@pytest.mark.parametrize(
    "url",
    ["http://h", "https://h:1/p?q=1&r=2", "amqp://u:p@h:5672/v", "amqps://h", "kafka://h:9092"],
)
def test_these_are_endpoints(url):
    assert problem_of(url) is None


@pytest.mark.parametrize(
    "url",
    ["", "h", "http://", "ftp://h", "http:h", "http://h:x", "http://[", "http://h/a b",
     "http://h#f", "http://h/\n"],
)  # fmt: skip
def test_these_are_none(url):
    assert problem_of(url) is not None
