"""ROOKERY_BACKEND=auto: what is chosen of what was measured, and when it is measured."""

import logging
from dataclasses import replace

import numpy as np
import pytest

from rookery import fastest, preparation
from rookery.backends.comparison import Row
from rookery.backends.options import Options
from rookery.backends.trial import Trial
from rookery.errors import BackendMissing, ModelInvalid
from rookery.fastest import CANDIDATES, choose, choose_fastest
from rookery.serving.gate import Gate

ROOK, CROW = [[0.9, 0.1]], [[0.1, 0.9]]


def row(name, milliseconds, start=1000, scores=ROOK):
    measured = Trial(name, start / 2, start / 2, 9, milliseconds, 1, np.array(scores, np.float32))
    return Row(name, measured)


def test_the_fastest_is_chosen(penguins):
    rows = [row("tensorflow", 30), row("openvino", 8), row("opencv", 19)]
    chosen = choose(rows, penguins.card)
    assert chosen.backend == "openvino"
    assert chosen.milliseconds == {"tensorflow": 30, "openvino": 8, "opencv": 19}
    assert chosen.left_out == {}


@pytest.mark.parametrize(("other", "expected"), [(10.4, "opencv"), (10.6, "tensorflow")])
def test_among_those_that_are_as_fast_the_one_that_starts_first(other, expected, penguins):
    rows = [row("tensorflow", 10, start=5000), row("opencv", other, start=100)]
    assert choose(rows, penguins.card).backend == expected


def test_what_most_do_not_see_is_never_chosen(penguins):
    rows = [row("tensorflow", 30), row("openvino", 8, scores=CROW), row("opencv", 19)]
    chosen = choose(rows, penguins.card)
    assert chosen.backend == "opencv"
    assert chosen.left_out == {"openvino": "it sees other classes than most"}


def test_where_two_disagree_the_more_trusted_is_right(penguins):
    rows = [row("openvino", 30), row("opencv", 8, scores=CROW)]
    assert choose(rows, penguins.card).backend == "openvino"


def test_what_failed_or_is_not_here_is_left_out_with_the_reason(penguins):
    rows = [
        row("tensorflow", 30),
        Row("openvino", absent="not installed"),
        Row("opencv", failure="crashed"),
    ]
    chosen = choose(rows, penguins.card)
    assert chosen.left_out == {"openvino": "not installed", "opencv": "crashed"}


def test_where_none_runs_every_reason_is_given(penguins):
    rows = [Row("openvino", absent="not installed"), Row("opencv", failure="crashed")]
    with pytest.raises(BackendMissing, match=r"(?s)penguins/1; .*openvino: not.*opencv: crashed"):
        choose(rows, penguins.card)


def test_neither_what_computes_nothing_nor_what_compiles_for_long_is_a_candidate():
    assert {"fixed", "tensorflow-xla"}.isdisjoint(CANDIDATES)


# --- measured once -------------------------------------------------------------------------


@pytest.fixture
def learned(penguins):
    """A model that computes something."""
    return replace(penguins, card=replace(penguins.card, format="savedmodel"))


@pytest.fixture
def measured(monkeypatch):
    """The batches that were measured with; no process is started."""
    batches = []

    def run_trials(version, backends, batch, options, **rest):
        del version, backends, options, rest
        batches.append(batch)
        return (row("tensorflow", 30), row("openvino", 8))

    monkeypatch.setattr(fastest, "run_trials", run_trials)
    return batches


def test_what_was_found_is_remembered(measured, learned, tmp_path, caplog):
    with caplog.at_level(logging.INFO):
        first, second = (choose_fastest(learned, tmp_path, Options(threads=2)) for _ in range(2))
    assert (first, second, len(measured)) == ("openvino", "openvino", 1)
    line = "auto chose openvino for penguins/1: openvino 8.0 ms, tensorflow 30.0 ms (measured "
    assert caplog.messages == [f"{line}now)", f"{line}before)"]


@pytest.mark.parametrize(("transient", "times"), [(True, 2), (False, 1)])
def test_what_may_pass_is_not_remembered(transient, times, learned, tmp_path, monkeypatch):
    measured = []

    def run_trials(*_, **__):
        measured.append(1)
        failed = Row("opencv", failure="it is not what it was", transient=transient)
        return (row("openvino", 8), failed)

    monkeypatch.setattr(fastest, "run_trials", run_trials)
    for _ in range(2):
        assert choose_fastest(learned, tmp_path, Options()) == "openvino"
    assert len(measured) == times


def test_a_model_that_computes_nothing_is_not_measured(measured, penguins, tmp_path, caplog):
    with caplog.at_level(logging.INFO):
        assert choose_fastest(penguins, tmp_path, Options()) == "fixed"
    assert measured == []
    assert caplog.messages == ["auto chose fixed for penguins/1: it computes nothing"]


def test_the_pictures_look_different(measured, learned, tmp_path):
    choose_fastest(learned, tmp_path, Options())
    (batch,) = measured
    assert batch.shape == (4, 8, 8, 3)
    assert len({one.tobytes() for one in batch}) == 4


@pytest.mark.parametrize(
    "change",
    [
        {"options": Options(threads=3)},
        {"candidates": ("openvino",)},
        {"facts": {"cpu": "another"}},
        {"facts": {"libraries": "openvino-9999"}},
        {"facts": {"code": "patched"}},
        {"gpus": ("nvidia0",)},
        {"card": {"files": {"model.xml": "0" * 64}}},
    ],
    ids=str,
)
def test_what_may_make_another_the_fastest_is_measured_anew(
    change, measured, learned, tmp_path, monkeypatch
):
    monkeypatch.setattr(fastest, "verify", lambda *_: None)
    choose_fastest(learned, tmp_path, Options(threads=2))
    here = fastest.facts("") | change.get("facts", {})
    monkeypatch.setattr(fastest, "facts", lambda _: here)
    gpus = change.get("gpus", fastest.visible_gpus())
    monkeypatch.setattr(fastest, "visible_gpus", lambda: gpus)
    choose_fastest(
        replace(learned, card=replace(learned.card, **change.get("card", {}))),
        tmp_path,
        change.get("options", Options(threads=2)),
        candidates=change.get("candidates", CANDIDATES),
    )
    assert len(measured) == 2


@pytest.mark.parametrize("text", ["", "{", "[]", '{"backend": "openvino"}', '{"backend": "evil"}'])
def test_a_damaged_memory_is_measured_anew(text, measured, learned, tmp_path):
    choose_fastest(learned, tmp_path, Options())
    (kept,) = (tmp_path / "cache" / "backends").iterdir()
    kept.write_text(text)
    assert choose_fastest(learned, tmp_path, Options()) == "openvino"
    assert len(measured) == 2


def test_where_nothing_can_be_kept_it_is_measured_every_time(measured, learned, tmp_path, caplog):
    (tmp_path / "cache").write_text("a file where a folder would be")
    for _ in range(2):
        assert choose_fastest(learned, tmp_path, Options()) == "openvino"
    assert len(measured) == 2
    assert "the next start will measure the backends again" in caplog.text


def test_a_damaged_model_is_not_measured(measured, learned, tmp_path):
    damaged = replace(learned, card=replace(learned.card, files={"gone.bin": "0" * 64}))
    with pytest.raises(ModelInvalid, match=r"gone\.bin is missing"):
        choose_fastest(damaged, tmp_path, Options())
    assert measured == []


# --- in a function -------------------------------------------------------------------------


def test_a_function_uses_what_is_chosen_and_says_so_in_its_answers(settings, jpeg, monkeypatch):
    monkeypatch.setattr(preparation, "choose_fastest", lambda *_: "fixed")
    read = settings(ROOKERY_BACKEND="auto")
    prepared = preparation.prepare(read, Gate(concurrency=1, queue=0), s3=False)
    assert prepared.warmed.classifier.classify(jpeg).backend == "fixed"
