import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rookery.events.attributes import is_legal, is_timestamp, legal, validate

REQUIRED = {"specversion": "1.0", "id": "1", "source": "/s", "type": "t"}


@pytest.mark.parametrize(
    "time",
    [
        "2018-04-05T17:31:00Z",
        "2018-04-05T17:31:00.1+05:30",
        "2026-11-21T03:40:02.612224Z",
        "2018-04-05T17:31:00.123456789Z",
        "2018-04-05t17:31:00z",
        "2016-12-31T23:59:60Z",
        "1970-01-01T00:00:00.000-00:00",
    ],
)
def test_rfc_3339_timestamps_are_taken(time):
    assert is_timestamp(time)


@pytest.mark.parametrize(
    "time",
    [
        "", "now", "2018-04-05", "2018-04-05T17:31:00", "2018-04-05 17:31:00Z",
        "2018-04-05T17:31Z", "20180405T173100Z", "2018-W14-4T17:31:00Z",
        "2018-04-05T17:31:00,5Z", "2018-13-05T17:31:00Z",
        "2018-04-31T17:31:00Z", "2018-04-05T24:01:00Z", "2018-04-05T17:31:61Z", "1522949460",
        "2018-04-05T17:31:00Z\n", "٢٠١٨-04-05T17:31:00Z", "2018-04-05T17:31:00+25:00",
    ],
)  # fmt: skip
def test_other_times_are_not(time):
    assert not is_timestamp(time)


@pytest.mark.parametrize(
    ("extra", "problem"),
    [
        ({"specversion": "0.3"}, "specversion must be 1.0, not '0.3'"),
        ({"specversion": None}, "specversion must be 1.0; it is missing"),
        ({"id": None}, "id is missing"),
        ({"id": ""}, "id must not be empty"),
        ({"source": 1.5}, "source must be a string, an integer or a boolean, not a number"),
        ({"subject": ""}, "subject must not be empty"),
        ({"dataschema": ""}, "dataschema must not be empty"),
        ({"type": ["t"]}, "type must be a string, an integer or a boolean, not an array"),
        ({"subject": {"a": 1}}, "subject must be a string, an integer or a boolean, not an object"),
        ({"time": "yesterday"}, "time must be an RFC 3339 timestamp, not yesterday"),
        ({"subject": "a\nb"}, "subject must not hold control characters"),
        ({"subject": "\ud800"}, "subject must not hold control characters, surrogates"),
        ({"subject": "\ufffe"}, "subject must not hold control characters, surrogates or nonch"),
        ({"subject": "\x85"}, "subject must not hold control characters"),
        ({"subject": "\U0010ffff"}, "subject must not hold control characters"),
        ({"My-Ext": "x"}, "'My-Ext' is no attribute name"),
        ({"data": "x"}, "data is no attribute name: it is where the data goes"),
        ({"big": "x" * 8193}, "big has 8,193 characters, the limit is 8,192"),
        ({"datacontenttype": "json"}, "datacontenttype must be a media type, not json"),
        ({"datacontenttype": "text/plain; a=é"}, "datacontenttype must be a media type"),
        ({"datacontenttype": "a/b\r\nX: y"}, "datacontenttype must not hold control characters"),
        ({"datacontenttype": ""}, "datacontenttype must not be empty"),
    ],
)
def test_a_broken_attribute_is_named(extra, problem):
    _, problems = validate(REQUIRED | extra)
    assert [found for found in problems if found.startswith(problem)], problems


def test_all_problems_are_reported_together():
    _, problems = validate({"specversion": "1.0", "id": "", "subject": "", "time": "x"})
    assert len(problems) == 5


def test_a_flood_of_problems_is_cut_short():
    _, problems = validate(REQUIRED | {f"no-{index}": "x" for index in range(50)})
    assert problems[-1] == "and 42 more"


def test_a_flood_of_attributes_is_refused():
    _, problems = validate(REQUIRED | {f"a{index}": "x" for index in range(200)})
    assert problems == ["it has 204 attributes, the limit is 128"]


@pytest.mark.parametrize(
    ("value", "text"), [(True, "true"), (False, "false"), (-5, "-5"), ("", ""), ("é %", "é %")]
)
def test_extension_values_take_their_canonical_form(value, text):
    values, problems = validate(REQUIRED | {"ext": value})
    assert (values["ext"], problems) == (text, [])


def test_null_means_unset():
    values, problems = validate(REQUIRED | {"subject": None, "ext": None})
    assert (values, problems) == ({"id": "1", "source": "/s", "type": "t"}, [])


def test_a_long_value_is_shortened_in_the_message():
    _, problems = validate(REQUIRED | {"time": "x" * 5000})
    assert len(problems[0]) < 150


@given(st.text(st.characters(codec=None)))
def test_any_text_can_be_made_legal(text):
    assert is_legal(legal(text))


@given(st.text(st.characters(codec=None)).filter(is_legal))
def test_legal_text_stays_as_it_is(text):
    assert legal(text) == text


def test_only_forbidden_characters_are_encoded():
    assert re.fullmatch("a b%0A%EF%BF%BE%é", legal("a b\n\ufffe%é"))
