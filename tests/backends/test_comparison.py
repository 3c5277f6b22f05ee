"""Which backends ran, which did not and why, and whether those that did agree."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rookery.backends import comparison
from rookery.backends.comparison import READS, Row, agrees, run_trials, why_unread
from rookery.backends.options import Options
from rookery.backends.registry import create_backend
from rookery.backends.trial import Trial
from rookery.errors import BackendFailed, BackendMissing, ModelInvalid
from rookery.models.agreement import compare

SCORES = np.array([[0.5, 0.3, 0.2], [0.1, 0.2, 0.7]], np.float32)
BATCH = np.zeros((2, 8, 8, 3), np.float32)


@pytest.fixture
def answers():
    """What each backend does: the scores it gives, or the error it raises."""
    return {}


@pytest.fixture
def asked(monkeypatch, answers):
    """The keywords each backend was run with."""
    calls = {}

    def run_trial(version, backend, batch, options, **keywords):
        del version, batch, options
        calls[backend] = keywords
        answer = answers[backend]
        if isinstance(answer, Exception):
            raise answer
        return Trial(backend, 1, 2, 3, 4, 5, answer)

    monkeypatch.setattr(comparison, "run_trial", run_trial)
    return calls


@pytest.fixture
def run(asked, penguins):
    del asked
    version = replace(penguins, card=replace(penguins.card, format="savedmodel"))
    return lambda *names, **more: run_trials(version, names, BATCH, Options(), calls=3, **more)


def test_the_most_trusted_that_runs_is_the_reference(run, answers):
    other = SCORES + np.float32(1e-3)
    answers |= {"itex": other, "openvino": SCORES, "tensorflow": BackendMissing("not here")}
    rows = {row.backend: row for row in run("itex", "openvino", "tensorflow")}
    assert rows["openvino"].agreement.largest_difference == 0
    assert rows["itex"].agreement.largest_difference == pytest.approx(1e-3, rel=1e-3)
    assert (rows["tensorflow"].trial, rows["tensorflow"].agreement) == (None, None)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (BackendMissing("not installed"), Row("openvino", absent="not installed")),
        (ModelInvalid("unknown operation"), Row("openvino", failure="unknown operation")),
        (BackendFailed("crashed"), Row("openvino", failure="crashed", transient=True)),
    ],
)
def test_what_did_not_run_says_why(error, expected, run, answers):
    answers |= {"openvino": error}
    assert run("openvino") == (expected,)


def test_nothing_is_compared_with_itself(run, answers):
    answers |= {"openvino": SCORES, "tensorflow": BackendMissing("not here")}
    assert [row.agreement for row in run("openvino", "tensorflow")] == [None, None]


def test_one_alone_is_compared_with_the_first_reference_that_runs(run, answers, asked):
    other = SCORES + np.float32(1e-3)
    answers |= {
        "tensorflow": SCORES,
        "tensorflow-frozen": BackendFailed("crashed"),
        "openvino": other,
        "itex": SCORES,
    }
    alone, reference = run("tensorflow", references=("tensorflow-frozen", "openvino", "itex"))
    assert [alone.backend, reference.backend] == ["tensorflow", "openvino"]
    assert alone.agreement.largest_difference == pytest.approx(1e-3, rel=1e-3)
    assert reference.agreement.largest_difference == 0
    assert "itex" not in asked


def test_where_two_ran_no_reference_is_needed(run, answers, asked):
    answers |= {"tensorflow": SCORES, "openvino": SCORES}
    run("tensorflow", "openvino", references=("itex",))
    assert asked.keys() == {"tensorflow", "openvino"}


def test_one_is_begun_after_the_other_and_as_asked(run, answers, asked):
    answers |= {"openvino": SCORES, "itex": SCORES}
    begun = []
    python = Path("itex/bin/python")
    run("openvino", "itex", begin=begun.append, interpreters={"itex": python}, seconds=7)
    assert begun == ["openvino", "itex"]
    assert asked == {
        "openvino": {"calls": 3, "seconds": 7, "python": None},
        "itex": {"calls": 3, "seconds": 7, "python": python},
    }


@pytest.mark.parametrize(
    ("precision", "change", "expected"),
    [
        ("fp32", 5e-5, True),
        ("fp32", 2e-4, False),
        ("int8", 2e-2, True),
        ("int8", 0.5, False),
    ],
)
def test_how_far_answers_may_lie_apart_depends_on_the_precision(
    precision, change, expected, penguins
):
    card = replace(penguins.card, precision=precision)
    other = SCORES + np.array([[0, change, 0]], np.float32)
    agreement = compare(SCORES, other, tie=comparison.tie(card))
    assert agrees(agreement, card) == expected


def test_what_does_not_read_the_model_is_not_started(run, answers, asked):
    answers |= {"openvino": SCORES}
    row, _ = run("opencv", "openvino")
    assert row.absent == "it reads frozen, onnx; the model is savedmodel"
    assert asked.keys() == {"openvino"}


@pytest.mark.parametrize(
    ("backend", "changes", "expected"),
    [
        ("openvino", {}, "it runs the signature 'serving_default', the card names 'classify'"),
        ("openvino", {"other_formats": ("frozen",)}, None),
        ("openvino", {"signature": "serving_default"}, None),
        ("tensorflow", {}, None),
        ("fixed", {}, None),
    ],
)
def test_openvino_reads_a_savedmodel_with_one_signature(backend, changes, expected, penguins):
    card = replace(penguins.card, **{"format": "savedmodel", "signature": "classify"} | changes)
    assert why_unread(backend, card) == expected


@pytest.mark.parametrize("backend", sorted(READS.keys() - {"itex"}))
@pytest.mark.parametrize("format_", ["savedmodel", "frozen", "onnx", "openvino"])
def test_backends_read_what_is_believed_of_them(backend, format_, penguins, tmp_path):
    card = replace(penguins.card, format=format_)
    with pytest.raises(ModelInvalid) as caught:
        create_backend(backend).load(tmp_path, card)
    assert ("holds no" in str(caught.value)) == (format_ in READS[backend])
