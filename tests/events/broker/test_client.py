import pytest

from rookery.errors import RequestInvalid, SinkUnavailable
from rookery.events.broker import client
from rookery.events.wire import to_batch
from rookery.free_ports import free_ports


@pytest.fixture
def nowhere():
    (port,) = free_ports(1)
    return f"http://127.0.0.1:{port}"


def collect(found, count):
    """Take *count* of what is found."""
    return [next(found)[1] for _ in range(count)]


def follow(url, **options):
    return client.follow(url, stop=lambda: False, wait=0.2, **options)


def test_head_is_the_newest_offset(serve, numbered):
    broker = serve()
    assert client.head(broker.url) == 0
    for event in numbered(3):
        broker.post(event)
    assert client.head(broker.url) == 3


def test_follows_what_is_there_and_what_comes(serve, made):
    broker = serve()
    events = [made("1", data=b'{"a":1}', datacontenttype="application/json"), made("2")]
    broker.post(events[0])
    found = follow(broker.url, after=0)
    assert collect(found, 1) == events[:1]
    broker.post(events[1])
    assert collect(found, 1) == events[1:]


def test_follows_only_what_is_wanted(serve, made):
    broker = serve()
    for id_, type_, subject in (("1", "a.x", "s"), ("2", "b", "s"), ("3", "a.y", "other")):
        broker.post(made(id_, type=type_, subject=subject))
    broker.post(made("4", type="a.z", subject="s"))
    found = collect(follow(broker.url, after=0, type_prefix="a.", subject="s"), 2)
    assert [event.id for event in found] == ["1", "4"]


def test_follows_on_when_the_broker_comes_back(serve, made):
    broker = serve()
    broker.post(made("1"))
    answers = iter([SinkUnavailable("down"), None])
    found = follow(broker.url, after=0)
    assert collect(found, 1)[0].id == "1"
    asked = client._ask

    def down_once(*args):
        if (error := next(answers, None)) is not None:
            raise error
        return asked(*args)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(client, "_ask", down_once)
        patch.setattr(client, "_PAUSE", 0.0)
        broker.post(made("2"))
        assert collect(found, 1)[0].id == "2"


def test_stops_following_when_told(serve):
    asked = iter([False, False, True])
    url = serve().url
    assert list(client.follow(url, after="now", wait=0.01, stop=lambda: next(asked))) == []


def test_reads_up_to_the_newest(serve, numbered):
    broker = serve()
    for event in numbered(3):
        broker.post(event)
    assert [offset for offset, _ in client.read(broker.url, after=1)] == [2, 3]
    assert list(client.read(broker.url, after="now")) == []


def test_reads_more_than_one_page(serve, numbered):
    broker = serve()
    for part in range(2):
        headers, body = to_batch(numbered(700, source=f"/{part}"))
        broker.http.request("POST", f"{broker.url}/", headers=headers, body=body)
    assert len(list(client.read(broker.url, after=0))) == 1400


def test_replays(serve, subscribe, trigger, made):
    subscriber = subscribe()
    broker = serve(trigger(subscriber.url))
    broker.post(made("1"))
    subscriber.wait(1)
    broker.until_settled("t")
    assert client.replay(broker.url, "t", after="0") == 1


def test_lists_triggers(serve, trigger):
    broker = serve(trigger("http://127.0.0.1:9/"))
    assert [each["name"] for each in client.triggers(broker.url)] == ["t"]


def test_says_why_the_broker_refuses(serve):
    with pytest.raises(RequestInvalid, match="trigger must name one"):
        client.replay(serve().url, "nobody", after="0")


def test_says_that_nobody_answers(nowhere):
    with pytest.raises(SinkUnavailable, match="no broker answers"):
        client.head(nowhere)
