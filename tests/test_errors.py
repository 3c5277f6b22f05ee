import inspect
import pickle
import re

import pytest

from rookery import errors
from rookery.errors import (
    BodyTooLarge,
    Misconfigured,
    Overloaded,
    Rejected,
    RookeryError,
    SettingsInvalid,
    TriggersInvalid,
    Unavailable,
)

CLASSES = [
    value
    for value in vars(errors).values()
    if inspect.isclass(value) and issubclass(value, RookeryError)
]
CONSEQUENCES = (Rejected, Unavailable, Overloaded, Misconfigured)
STANDARD = {
    "EventInvalid": ValueError,
    "RequestInvalid": ValueError,
    "ImageError": ValueError,
    "ObjectGone": LookupError,
    "StorageUnavailable": ConnectionError,
    "StorageDenied": PermissionError,
    "SinkUnavailable": ConnectionError,
    "QueueUnavailable": ConnectionError,
    "DownloadUnavailable": ConnectionError,
    "SettingsInvalid": ValueError,
    "ModelNotFound": LookupError,
    "ModelInvalid": ValueError,
    "BackendMissing": ImportError,
    "FunctionInvalid": ValueError,
    "TriggersInvalid": ValueError,
    "PortTaken": OSError,
}


def test_the_tree_at_the_top_of_the_file_names_every_class_and_no_other():
    tree = errors.__doc__.split("What each becomes")[0]
    drawn = set(re.findall(r"\b[A-Z][a-z]+(?:[A-Z][a-z]+)+\b|\bRejected\b|\bUnavailable\b", tree))
    drawn |= set(re.findall(r"\b(Overloaded|Misconfigured)\b", tree))
    assert drawn == {kind.__name__ for kind in CLASSES}


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_every_error_has_one_consequence(kind):
    consequences = [one for one in CONSEQUENCES if issubclass(kind, one)]
    assert len(consequences) == (0 if kind is RookeryError else 1)


@pytest.mark.parametrize(("name", "standard"), STANDARD.items())
def test_an_error_is_also_the_standard_error_it_is_like(name, standard):
    assert issubclass(getattr(errors, name), standard)


def test_an_errors_code_is_the_name_of_its_class():
    assert errors.ObjectGone("x").code == "ObjectGone"


@pytest.mark.parametrize("kind", [Unavailable, Overloaded, errors.StorageDenied])
def test_what_may_succeed_later_knows_when(kind):
    assert kind("x").retry_after == 1
    assert kind("x", retry_after=7).retry_after == 7
    assert str(kind("x", retry_after=7)) == "x"


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (BodyTooLarge(1000), "the request body is too long, the limit is 1,000 bytes"),
        (BodyTooLarge(1000, length=2**30), "the request body is 1,073,741,824 bytes, the limit"),
    ],
)
def test_a_long_body_is_told_its_length_and_the_limit(error, message):
    assert str(error).startswith(message)
    assert "ROOKERY_MAX_BODY_BYTES" in str(error)


@pytest.mark.parametrize("kind", [SettingsInvalid, TriggersInvalid])
def test_problems_are_listed_together(kind):
    error = kind(["A: is wrong", "B: is too"])
    assert error.problems == ("A: is wrong", "B: is too")
    assert str(error).splitlines()[1:] == ["  - A: is wrong", "  - B: is too"]
    assert str(error).startswith("2 ")


def test_the_errors_need_nothing_but_the_standard_library():
    source = inspect.getsource(errors)
    assert re.findall(r"^(?:from|import) (\S+)", source, re.MULTILINE) == ["collections.abc"]


def test_a_plain_error_survives_a_process_boundary():
    error = pickle.loads(pickle.dumps(errors.ObjectGone("x")))
    assert (type(error), str(error)) == (errors.ObjectGone, "x")
