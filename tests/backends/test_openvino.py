"""What OpenVINO is asked for, and what it keeps of it."""

import logging
import shutil
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from rookery.backends.openvino import OpenVinoBackend
from rookery.backends.options import Options
from rookery.backends.protocol import TensorSpec
from rookery.cpus import usable_cpus
from rookery.errors import ModelInvalid
from rookery.models.card import dump
from rookery.models.integrity import digests

pytestmark = [pytest.mark.tensorflow, pytest.mark.xdist_group("tensorflow")]

BATCH = np.random.default_rng(0).random((2, 8, 6, 3), np.float32)


@pytest.fixture
def copy(tiny, tmp_path):
    return shutil.copytree(tiny, tmp_path / "copy")


@pytest.fixture
def known(copy, card):
    """The card of *copy* with the digests of its files, as a published one has them."""
    return replace(card, files=digests(copy))


def load(directory, card, **options):
    return OpenVinoBackend(Options(**options)).load(directory, card)


def property_of(model, name):
    return model._compiled.get_property(name)


# --- the options ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "name", "value"),
    [
        ({}, "PERFORMANCE_HINT", "LATENCY"),
        ({"performance": "throughput"}, "PERFORMANCE_HINT", "THROUGHPUT"),
        ({}, "INFERENCE_NUM_THREADS", usable_cpus()),
        ({"threads": 1}, "INFERENCE_NUM_THREADS", 1),
        ({}, "ENABLE_CPU_PINNING", False),
        ({"pin": True}, "ENABLE_CPU_PINNING", True),
        ({}, "NUM_STREAMS", 1),
    ],
)
def test_options_become_properties(options, name, value, tiny, card):
    found = property_of(load(tiny, card, **options), name)
    assert getattr(found, "name", found) == value


def test_throughput_runs_as_many_images_at_once_as_it_has_threads(tiny, card):
    model = load(tiny, card, performance="throughput", threads=2)
    assert property_of(model, "NUM_STREAMS") == 2


def test_callers_that_run_at_once_have_a_request_each(tiny, card):
    model = load(tiny, card, performance="throughput")
    first, second = model._take(), model._take()
    assert first is not second


# --- formats -------------------------------------------------------------------------------


def test_another_signature_is_run_from_another_format(tiny, card, expected):
    card = replace(card, signature="compare", other_formats=("frozen",))
    np.testing.assert_allclose(load(tiny, card)(BATCH)["scores"], expected(BATCH), atol=1e-6)


@pytest.mark.parametrize("shape", [("n", 3, 8, 6), ("n", 8, 6, 3), (2, 3, 8, 6)])
def test_onnx_models_take_the_batch_as_callers_have_it(shape, tmp_path, card, as_onnx, expected):
    (tmp_path / "model.onnx").write_bytes(as_onnx(shape))
    model = load(tmp_path, replace(card, format="onnx"))
    (spec,) = model.signature.inputs
    assert spec == TensorSpec("image", "float32", (2 if shape[0] == 2 else None, 8, 6, 3))
    np.testing.assert_allclose(model(BATCH)["scores"], expected(BATCH), atol=1e-6)


def test_an_operation_it_does_not_know_is_named(tmp_path, card, as_onnx):
    (tmp_path / "model.onnx").write_bytes(as_onnx(last="Frobnicate"))
    with pytest.raises(ModelInvalid, match=r"for operations: own\.Frobnicate$"):
        load(tmp_path, replace(card, format="onnx"))


# --- compiled models -----------------------------------------------------------------------


def break_model(directory):
    """Leave files that OpenVINO could not load."""
    for name in ("saved_model.pb", "frozen.pb", "model.onnx", "model.xml"):
        (directory / name).write_bytes(b"\xff" * 300)


@pytest.mark.parametrize("format_", ["savedmodel", "frozen", "onnx", "openvino"])
def test_the_second_load_takes_what_the_first_compiled(format_, copy, known, tmp_path):
    card = replace(known, format=format_)
    first = load(copy, card, cache=tmp_path / "cache")
    break_model(copy)
    second = load(copy, card, cache=tmp_path / "cache")
    assert second.signature == first.signature
    np.testing.assert_array_equal(second(BATCH)["scores"], first(BATCH)["scores"])


@pytest.mark.parametrize(
    "change",
    [{"threads": usable_cpus() + 1}, {"performance": "throughput"}, {"pin": True}, {"cache": None}],
)
def test_other_options_compile_anew(change, copy, known, tmp_path):
    options = {"cache": tmp_path / "cache"}
    load(copy, known, **options)
    break_model(copy)
    with pytest.raises(ModelInvalid):
        load(copy, known, **{**options, **change})


def test_other_weights_compile_anew(copy, known, tmp_path):
    load(copy, known, cache=tmp_path / "cache")
    break_model(copy)
    with pytest.raises(ModelInvalid):
        load(copy, replace(known, files=digests(copy)), cache=tmp_path / "cache")


def test_a_model_without_digests_is_not_kept(copy, card, tmp_path):
    load(copy, card, cache=tmp_path / "cache")
    assert not (tmp_path / "cache").exists()


def damage(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)


def cut(path):
    path.write_bytes(path.read_bytes()[:-7])


def empty(path):
    path.write_bytes(b"")


@pytest.mark.parametrize("harm", [damage, cut, empty])
def test_a_damaged_one_is_compiled_again(harm, copy, known, tmp_path, caplog):
    cache = tmp_path / "cache"
    first = load(copy, known, cache=cache)
    (kept,) = cache.iterdir()
    harm(kept)
    second = load(copy, known, cache=cache)
    np.testing.assert_array_equal(second(BATCH)["scores"], first(BATCH)["scores"])
    assert "is damaged; the model is compiled again" in caplog.text
    caplog.clear()
    load(copy, known, cache=cache)
    assert not caplog.records  # a whole one has taken its place


def test_one_that_openvino_does_not_take_is_compiled_again(copy, known, tmp_path, expected, caplog):
    from rookery.backends.compiled import CompiledModels

    cache = tmp_path / "cache"
    load(copy, known, cache=cache)
    (kept,) = cache.iterdir()
    CompiledModels(cache).write(kept.stem, b"from another version")
    np.testing.assert_allclose(
        load(copy, known, cache=cache)(BATCH)["scores"], expected(BATCH), atol=1e-6
    )
    assert "compiling anew" in caplog.text


def test_a_cache_that_cannot_be_written_keeps_no_model_from_running(copy, known, tmp_path, caplog):
    (tmp_path / "cache").write_text("a file")
    with caplog.at_level(logging.WARNING):
        model = load(copy, known, cache=tmp_path / "cache")
    assert model(BATCH)["scores"].shape == (2, 3)
    assert "cannot be written" in caplog.text


# --- the process around it -----------------------------------------------------------------

ALONE = """
import signal, sys
from pathlib import Path
from rookery.backends.openvino import OpenVinoBackend
from rookery.backends.options import Options
from rookery.models.card import parse_card

directory, cache, card = Path(sys.argv[1]), Path(sys.argv[2]), parse_card(sys.argv[3], "the card")
for _ in range(3):
    model = OpenVinoBackend(Options(cache=cache)).load(directory, card)
del model
got = []
signal.signal(signal.SIGTERM, lambda *_: got.append("SIGTERM"))
signal.raise_signal(signal.SIGTERM)
print(*got, *(name for name in sys.modules if name.startswith("openvino_telemetry.")))
"""


def test_signals_arrive_and_nothing_is_reported_after_models_have_gone(copy, known, tmp_path):
    done = subprocess.run(
        (sys.executable, "-X", "faulthandler", "-c", ALONE, copy, tmp_path / "cache", dump(known)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "SIGTERM\n"), done.stderr
