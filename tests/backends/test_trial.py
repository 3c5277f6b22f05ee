import os
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rookery.backends.options import Options
from rookery.backends.trial import run_trial
from rookery.errors import BackendFailed, BackendMissing, ModelInvalid
from rookery.models.repository import ModelVersion

BATCH = np.zeros((3, 8, 6, 3), np.float32)


@pytest.fixture
def version(tmp_path, card):
    return ModelVersion(tmp_path, card)


def trial(version, backend="fixed", batch=BATCH, **options):
    return run_trial(version, backend, batch, Options(), calls=3, **options)


def interpreter(path, script):
    """A program in the place of Python, which is called with -P -m MODULE FOLDER."""
    path.write_text(f"#!{sys.executable}\nimport os, signal, sys, time\n{script}\n")
    path.chmod(0o755)
    return path


def test_it_tells_what_every_part_took_and_what_came_of_it(version):
    found = trial(version)
    assert found.backend == "fixed"
    assert min(found.import_ms, found.load_ms, found.first_ms, found.median_ms) >= 0
    assert 2**20 < found.resident_bytes < 2**33
    assert (found.scores.shape, found.scores.dtype) == ((3, 3), np.float32)


@pytest.mark.parametrize("activation", ["probabilities", "logits"])
def test_scores_are_probabilities_whatever_the_model_gives(activation, version):
    version = ModelVersion(version.directory, replace(version.card, activation=activation))
    np.testing.assert_allclose(trial(version).scores, [[4 / 7, 2 / 7, 1 / 7]] * 3, rtol=1e-5)


def test_timed_calls_take_batches_of_any_size(version):
    assert trial(version, batch=BATCH[:1], batch_size=8).scores.shape == (1, 3)


def test_a_backend_that_does_not_exist_is_missing(version):
    with pytest.raises(BackendMissing, match="there is no backend 'torch'"):
        trial(version, "torch")


def test_a_library_that_is_not_installed_is_missing(version, tmp_path):
    (tmp_path / "saved_model.pb").touch()
    (tmp_path / "cv2.py").write_text("raise ModuleNotFoundError('no cv2', name='cv2')\n")
    environ = {**os.environ, "PYTHONPATH": str(tmp_path)}
    with pytest.raises(BackendMissing, match=r'pip install "rookery\[opencv\]"'):
        trial(version, "opencv", environ=environ)


def test_a_model_that_cannot_be_loaded_is_invalid(version):
    with pytest.raises(ModelInvalid, match="opencv reads frozen, onnx; tiny/1 is savedmodel"):
        trial(version, "opencv")


def test_a_batch_that_does_not_fit_is_a_failure(version):
    with pytest.raises(BackendFailed, match=r"the batch is float32\(1, 6, 8, 3\)"):
        trial(version, batch=np.zeros((1, 6, 8, 3), np.float32))


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("os.kill(os.getpid(), signal.SIGSEGV)", r"fixed crashed in its trial \(SIGSEGV\)"),
        ("os.kill(os.getpid(), signal.SIGKILL)", r"\(SIGKILL, as it is when memory ends\)"),
        ("sys.exit('No module named rookery')", "exit code 1: No module named rookery"),
        ("sys.exit(3)", "exit code 3: no message"),
        ("", "exit code 0: no message"),
        ("open(f'{sys.argv[-1]}/result.json', 'w').write('{')", "exit code 0"),
    ],
)
def test_a_process_that_leaves_no_result_says_how_it_ended(script, message, version, tmp_path):
    with pytest.raises(BackendFailed, match=message):
        trial(version, python=interpreter(tmp_path / "python", script))


def test_a_process_that_takes_too_long_is_ended(version, tmp_path):
    python = interpreter(
        tmp_path / "python", f"open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid()))\n"
        "time.sleep(600)",
    )  # fmt: skip
    with pytest.raises(BackendFailed, match="fixed did not finish its trial within 2 s"):
        trial(version, python=python, seconds=2)
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def test_an_interpreter_that_is_not_there_is_missing(version, tmp_path):
    with pytest.raises(BackendMissing, match="cannot be started: No such file"):
        trial(version, python=tmp_path / "python")


def test_a_folder_of_the_same_name_is_not_mistaken_for_us(version, tmp_path, monkeypatch):
    (tmp_path / "rookery").mkdir()
    (tmp_path / "rookery" / "__init__.py").write_text("raise SystemExit(9)\n")
    monkeypatch.chdir(tmp_path)
    assert trial(version).backend == "fixed"


def test_nothing_is_left_behind(version, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    trial(version)
    assert [path for path in Path(tmp_path).iterdir() if path.name.startswith("rookery")] == []
