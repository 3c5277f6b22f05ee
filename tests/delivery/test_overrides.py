import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rookery.delivery.overrides import parse_overrides
from rookery.errors import SettingsInvalid


@pytest.mark.parametrize(
    ("text", "extensions"),
    [
        ("", {}),
        ("  \n", {}),
        ("{}", {}),
        ('{"extensions": null}', {}),
        ('{"extensions": {}}', {}),
        ('{"extensions": {"tenant": "a", "zone2": ""}}', {"tenant": "a", "zone2": ""}),
        ('{"other": 1, "extensions": {"tenant": "é"}}', {"tenant": "é"}),
    ],
)
def test_overrides(text, extensions):
    assert parse_overrides(text) == extensions


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{", "not JSON"),
        ("[]", "must look like"),
        ("null", "must look like"),
        ('{"extensions": []}', "must look like"),
        ('{"extensions": {"Tenant": "a"}}', "only a-z and 0-9"),
        ('{"extensions": {"": "a"}}', "only a-z and 0-9"),
        ('{"extensions": {"source": "a"}}', "core attribute"),
        ('{"extensions": {"tenant": 1}}', "must be a string"),
        ("[" * 100_000, "not JSON"),
    ],
)
def test_what_cannot_be_used(text, problem):
    with pytest.raises(SettingsInvalid, match=problem):
        parse_overrides(text)


def test_all_problems_are_listed():
    with pytest.raises(SettingsInvalid) as caught:
        parse_overrides('{"extensions": {"A": "x", "id": "x", "c": 1, "good": "x"}}')

    assert len(caught.value.problems) == 3


@given(st.dictionaries(st.text(), st.none() | st.integers() | st.text()))
def test_anything_is_read_or_refused(extensions):
    try:
        found = parse_overrides(json.dumps({"extensions": extensions}))
    except SettingsInvalid:
        return
    assert found == extensions
