"""Intel's extension: what is said where it is missing, and the contract in its own environment."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from itex_environment import usable_itex, without_plugin
from rookery.backends.itex import find_interpreter
from rookery.backends.options import Options
from rookery.backends.registry import create_backend, import_library
from rookery.backends.trial import run_trial
from rookery.errors import BackendMissing
from rookery.models.card import dump
from rookery.models.repository import ModelVersion

pytestmark = pytest.mark.end_to_end

PROGRAM = Path(__file__).with_name("itex_program.py")
BATCH = np.random.default_rng(0).random((3, 8, 6, 3), np.float32)


# --- without it ----------------------------------------------------------------------------


def test_where_it_is_missing_the_way_to_install_it_is_said(monkeypatch, tmp_path, card):
    monkeypatch.setitem(sys.modules, "intel_extension_for_tensorflow", None)
    advice = r"scripts/install-itex, then .*itex/bin/rookery"
    with pytest.raises(BackendMissing, match=advice):
        create_backend("itex").load(tmp_path, card)
    with pytest.raises(BackendMissing, match=advice):
        import_library("itex")


def test_without_its_environment_there_is_no_interpreter(tmp_path):
    assert find_interpreter(tmp_path) is None


def test_the_interpreter_is_the_one_of_its_environment(tmp_path):
    python = tmp_path / "itex" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.touch()
    assert find_interpreter(tmp_path) == python


# --- with it -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def python():
    return usable_itex()


@pytest.fixture(scope="module")
def told(python, tiny, card, tmp_path_factory):
    """What a process in its environment found out about each format of the tiny model."""
    folder = tmp_path_factory.mktemp("itex")
    cards = [replace(card, format=format_) for format_ in ("savedmodel", "frozen")]
    (folder / "cards.json").write_text(json.dumps([dump(card) for card in cards]))
    np.save(folder / "batch.npy", BATCH)
    environ = {name: value for name, value in os.environ.items() if "ITEX" not in name}
    done = subprocess.run(
        [python, "-P", PROGRAM, tiny, folder], env=environ, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads((folder / "told.json").read_text())


@pytest.fixture(params=["savedmodel", "frozen"])
def about(request, told):
    return told[request.param]


def test_it_gives_what_arithmetic_gives(about, expected):
    np.testing.assert_allclose(about["scores"], expected(BATCH), atol=1e-6)


def test_many_threads_get_the_answers_that_one_gets(about):
    np.testing.assert_allclose(about["together"], about["alone"], atol=1e-6)


def test_a_batch_of_another_shape_is_a_failure(about):
    assert about["refusal"].startswith("the batch is float32(1, 6, 8, 3), the model takes")


def test_what_openmp_would_ignore_is_kept_to(told):
    assert told["pool"] == "0"


def test_tensorflow_that_runs_without_it_is_refused(python, tiny, card, tmp_path):
    environ = without_plugin(python, tmp_path)
    with pytest.raises(BackendMissing, match=r"TensorFlow 2\.15\.\d+ runs without Intel's"):
        run_trial(
            ModelVersion(tiny, card), "itex", BATCH, Options(), python=python, environ=environ
        )
