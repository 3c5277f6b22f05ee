import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rookery.errors import ModelInvalid
from rookery.models.card import CARD_FILE, dump, is_model_name, load_card

DIGEST = "0" * 64


def written(directory, card, **changes):
    document = json.loads(dump(card)) | changes
    (directory / CARD_FILE).write_text(json.dumps(document))
    return directory


def test_a_card_reads_back_as_it_was_written(tmp_path, card):
    full = replace(card, files={"labels.txt": DIGEST, "variables/data": "f" * 64})
    (tmp_path / CARD_FILE).write_text(dump(full))
    assert load_card(tmp_path) == full


def test_fields_a_newer_rookery_added_are_ignored(tmp_path, card):
    assert load_card(written(tmp_path, card, colour="mauve")) == card


def test_a_card_of_a_newer_schema_is_refused(tmp_path, card):
    with pytest.raises(ModelInvalid, match="schema is 2, this Rookery reads up to 1: upgrade it"):
        load_card(written(tmp_path, card, schema=2))


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"schema": None}, "schema must be an integer of at least 1, not None"),
        ({"name": ""}, "name must be a string that is not empty, not ''"),
        ({"name": "../up"}, "name must be lowercase letters"),
        ({"name": "Birds"}, "name must be lowercase letters"),
        ({"version": 0}, "version must be an integer of at least 1, not 0"),
        ({"version": True}, "version must be an integer of at least 1, not True"),
        (
            {"format": "torch"},
            "format must be one of savedmodel, frozen, onnx, openvino, fixed, not 'torch'",
        ),
        ({"activation": 1}, "activation must be one of probabilities, logits, not 1"),
        ({"classes": "3"}, "classes must be an integer of at least 1, not '3'"),
        ({"labels": "/etc/passwd"}, "labels must stay inside the folder"),
        ({"labels": "a/../../b"}, "labels must stay inside the folder"),
        ({"files": []}, "files must be an object of strings"),
        ({"files": {"a": 1}}, "files must be an object of strings"),
        ({"files": {"../a": DIGEST}}, "files must stay inside the folder, '../a' does not"),
        ({"files": {"a": "abc"}}, "files must map to sha256 in hex; 'a' maps to 'abc'"),
        ({"input": []}, "input must be an object"),
    ],
)
def test_what_is_wrong_with_a_field_is_said(changes, problem, tmp_path, card):
    with pytest.raises(ModelInvalid) as caught:
        load_card(written(tmp_path, card, **changes))
    assert problem in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"height": 0}, "input.height must be an integer of at least 1"),
        ({"resize": "stretch"}, "input.resize must be one of squash, center-crop"),
        ({"crop_fraction": 0}, "input.crop_fraction must be above 0 and at most 1, not 0.0"),
        ({"crop_fraction": 1.5}, "input.crop_fraction must be above 0 and at most 1"),
        ({"crop_fraction": float("nan")}, "input.crop_fraction must be a number"),
        ({"scale": [1, 10**400, 1]}, "input.scale must be a list of three numbers"),
        ({"crop_fraction": "all"}, "input.crop_fraction must be a number"),
        ({"mean": [1, 2]}, "input.mean must be a list of three numbers"),
        ({"mean": [1, 2, "3"]}, "input.mean must be a list of three numbers"),
        ({"scale": [1, 0, 1]}, "input.scale must not be 0"),
    ],
)
def test_what_is_wrong_with_the_input_is_said(changes, problem, tmp_path, card):
    values = json.loads(dump(card))["input"] | changes
    with pytest.raises(ModelInvalid) as caught:
        load_card(written(tmp_path, card, input=values))
    assert problem in str(caught.value)


def test_all_problems_are_listed_at_once(tmp_path):
    (tmp_path / CARD_FILE).write_text('{"schema": 1, "name": "birds", "version": -1}')
    with pytest.raises(ModelInvalid) as caught:
        load_card(tmp_path)
    assert str(caught.value).count("\n  - ") == 12


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "is not JSON"),
        (b"{", "is not JSON"),
        (b"\xff\xfe\x00", "is not JSON"),
        (b"[" * 100_000, "is not JSON"),
        (b"[]", "must hold a JSON object"),
        (b" " * 5_000_000, "no model card is"),
    ],
)
def test_a_file_that_is_no_card_is_refused(text, message, tmp_path):
    (tmp_path / CARD_FILE).write_bytes(text)
    with pytest.raises(ModelInvalid, match=message):
        load_card(tmp_path)


def test_a_missing_card_is_named(tmp_path):
    with pytest.raises(ModelInvalid, match=r"model\.json cannot be read: No such file"):
        load_card(tmp_path)


@pytest.mark.parametrize("name", ["efficientnet-lite0", "r", "a.b_c-1", "0"])
def test_these_are_model_names(name):
    assert is_model_name(name)


@pytest.mark.parametrize(
    "name", ["", ".", "..", "a/b", "a..b", "-a", "a-", "A", "a b", "a\n", "a\0", "ä", "a" * 65]
)
def test_these_are_no_model_names(name):
    assert not is_model_name(name)


json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)
FIELDS = ("schema", "name", "version", "format", "labels", "classes", "input", "files", "output")


@given(st.dictionaries(st.sampled_from(FIELDS), json_values))
def test_any_json_is_a_card_or_model_invalid(tmp_path_factory, document):
    directory = tmp_path_factory.mktemp("card")
    (directory / CARD_FILE).write_text(json.dumps(document))
    with pytest.raises(ModelInvalid):
        load_card(directory)
