from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rookery.events.broker.entry import entry, read
from rookery.events.broker.filters import Exact
from rookery.events.broker.trigger import Trigger
from rookery.events.wire import CloudEvent


def made(id_, **fields):
    return CloudEvent(**{"id": id_, "source": "/test", "type": "test.happened", **fields})


EVENT = made("1", subject="s", time="2026-01-01T00:00:00Z", extensions={"tenant": "a"})


@pytest.mark.parametrize("field", ["id", "source", "type", "subject"])
def test_a_different_name_is_a_different_event(field):
    other = replace(EVENT, **{field: "other"})
    assert entry(other, ()).identity != entry(EVENT, ()).identity


def test_no_subject_is_not_an_empty_one():
    assert entry(made("1"), ()).identity != entry(made("1", subject=""), ()).identity


def test_everything_else_is_the_same_event():
    repeat = replace(EVENT, time="2027-01-01T00:00:00Z", extensions={}, data=b"new")
    assert entry(repeat, ()).identity == entry(EVENT, ()).identity


@given(*[st.text("1;-ab", min_size=1, max_size=4)] * 4)
def test_texts_do_not_run_into_each_other(a, b, c, d):
    one, other = made(a, source=b, type="t"), made(c, source=d, type="t")
    same = entry(one, ()).identity == entry(other, ()).identity
    assert same == ((a, b) == (c, d))


def test_lists_the_triggers_that_match():
    triggers = [Trigger(name, "http://x/", Exact("tenant", name)) for name in ("a", "b")]
    assert entry(EVENT, triggers).triggers == ("a",)


_texts = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20)


@given(
    st.builds(
        made,
        _texts,
        source=_texts,
        type=_texts,
        subject=st.none() | _texts,
        time=st.none() | st.just("2026-01-01T00:00:00Z"),
        datacontenttype=st.none() | _texts,
        dataschema=st.none() | _texts,
        extensions=st.dictionaries(st.from_regex(r"x[a-z0-9]{0,9}", fullmatch=True), _texts),
        data=st.binary(max_size=50),
    )
)
def test_an_event_is_read_as_it_was_written(event):
    written = entry(event, ())
    row = (9, event.id, event.source, event.type, event.subject, written.attributes, event.data)
    assert read(row) == (9, event)
