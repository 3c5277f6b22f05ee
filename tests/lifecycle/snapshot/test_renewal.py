"""Two clones are stood in for by one process that is put back into the same state twice."""

import ctypes
import os
import platform
import random
import ssl
import sys
import tempfile
import uuid
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
from snapshot_restore_py import get_after_restore, get_before_snapshot, register_after_restore

from rookery.lifecycle import instance
from rookery.lifecycle.hooks import run_after_restore, run_before_snapshot
from rookery.lifecycle.snapshot import renewal

pytestmark = pytest.mark.usefixtures("no_hooks")


@pytest.fixture
def without_tensorflow(monkeypatch):
    """No TensorFlow, whatever an earlier test of this process loaded."""
    monkeypatch.delitem(sys.modules, "tensorflow", raising=False)


def test_our_hooks_run_before_a_users():
    renewal.register()
    register_after_restore(print)
    functions = [entry[0] for entry in get_after_restore()]
    assert functions[0] is renewal.renew_identity
    assert functions[-1] is print


def test_registering_again_changes_nothing():
    renewal.register()
    counts = len(get_before_snapshot()), len(get_after_restore())
    renewal.register()
    assert (len(get_before_snapshot()), len(get_after_restore())) == counts


@pytest.mark.usefixtures("without_tensorflow")
def test_all_of_them_run_together():
    before = instance.current()
    renewal.register()
    run_before_snapshot()
    run_after_restore(10)
    assert instance.current().id != before.id


def test_the_host_is_the_one_that_this_is(monkeypatch):
    assert platform.node()
    monkeypatch.setattr(os, "uname", lambda: os.uname_result(("Linux", "pod-7", "6", "#1", "x")))
    renewal.renew_identity()
    name = platform.node()
    monkeypatch.undo()
    renewal.renew_identity()
    assert name == "pod-7"


def test_the_network_card_is_looked_for_again(monkeypatch):
    uuid.getnode()
    monkeypatch.setattr(uuid, "_GETTERS", [lambda: 0x0242AC110002])
    renewal.renew_identity()
    assert uuid.getnode() == 0x0242AC110002
    monkeypatch.undo()
    renewal.renew_identity()


def draw_python():
    random.seed(7)
    renewal.reseed_python()
    return random.random()


def draw_c():
    libc = ctypes.CDLL(None)
    libc.srand(7)
    renewal.reseed_python()
    return libc.rand()


def draw_numpy():
    np.random.seed(7)  # noqa: NPY002 - the legacy generator is the one to renew
    renewal.reseed_numpy()
    return np.random.random()  # noqa: NPY002


@pytest.mark.parametrize("draw", [draw_python, draw_c, draw_numpy])
def test_the_same_state_draws_differently(draw):
    assert draw() != draw()


def test_names_of_temporary_files_start_anew():
    tempfile.gettempdir()
    names = tempfile._get_candidate_names()
    renewal.reseed_python()
    assert tempfile._get_candidate_names() is not names


def test_the_folder_of_temporary_files_is_the_one_that_tmpdir_says_now(monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", "/of/the/donor")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    renewal.reseed_python()
    assert tempfile.gettempdir() == str(tmp_path)


def test_openssl_gets_fresh_entropy(monkeypatch):
    given = []
    monkeypatch.setattr(ssl, "RAND_add", lambda data, entropy: given.append((data, entropy)))
    renewal.reseed_openssl()
    renewal.reseed_openssl()
    (first, entropy), (second, _) = given
    assert len(first) == entropy == 32
    assert first != second


def test_the_other_copy_of_openssl_does_too(monkeypatch):
    given = []
    lib = SimpleNamespace(RAND_add=lambda *arguments: given.append(arguments))
    binding = SimpleNamespace(_openssl=SimpleNamespace(lib=lib))
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.bindings._rust", binding)
    renewal.reseed_openssl()
    ((data, length, entropy),) = given
    assert len(data) == length == entropy == 32


def test_cryptography_still_has_the_door_we_use():
    from cryptography.hazmat.bindings import _rust

    renewal.reseed_openssl()
    assert _rust._openssl.lib.RAND_status() == 1


@pytest.mark.usefixtures("without_tensorflow")
def test_a_library_that_is_not_loaded_is_not_loaded_for_this(monkeypatch):
    monkeypatch.delitem(sys.modules, "numpy.random", raising=False)
    monkeypatch.delitem(sys.modules, "cryptography.hazmat.bindings._rust", raising=False)
    renewal.prepare_tensorflow()
    for renew in renewal._RENEWALS:
        renew()
    assert not {"tensorflow", "numpy.random", "cryptography.hazmat.bindings._rust"} & set(
        sys.modules
    )


class FakeTensorFlow(ModuleType):
    """Writes down what is asked of it."""

    def __init__(self, *, deterministic=False):
        super().__init__("tensorflow")
        self.calls = []
        self._deterministic = deterministic
        self.random = SimpleNamespace(
            set_seed=lambda _: self.calls.append("set_seed"),
            get_global_generator=self._generator,
        )

    def _generator(self):
        if self._deterministic:
            raise RuntimeError("op determinism is enabled")
        return SimpleNamespace(
            state=SimpleNamespace(shape=(3,)),
            reset=lambda state: self.calls.append(f"reset {len(set(state))}"),
        )


@pytest.mark.usefixtures("without_tensorflow")
@pytest.mark.parametrize(
    ("deterministic", "context", "calls"),
    [
        (False, SimpleNamespace(_seed=None), ["reset 3"]),
        (True, SimpleNamespace(_seed=None), []),
        (False, SimpleNamespace(), ["reset 3", "set_seed"]),
        (False, None, ["reset 3", "set_seed"]),
    ],
    ids=["kernels kept", "no generator", "another TensorFlow", "never used"],
)
def test_tensorflow_is_seeded(monkeypatch, deterministic, context, calls):
    fake = FakeTensorFlow(deterministic=deterministic)
    eager = SimpleNamespace(context_safe=lambda: context)
    monkeypatch.setitem(sys.modules, "tensorflow", fake)
    monkeypatch.setitem(sys.modules, "tensorflow.python.eager.context", eager)
    renewal.reseed_tensorflow()
    assert fake.calls == calls


@pytest.mark.tensorflow
def test_the_real_tensorflow_keeps_its_kernels(monkeypatch):
    import tensorflow as tf

    tf.random.uniform([])
    monkeypatch.setattr(tf.random, "set_seed", pytest.fail)
    renewal.reseed_tensorflow()


@pytest.mark.tensorflow
def test_the_real_tensorflow_draws_differently():
    import tensorflow as tf

    def draw():
        tf.random.set_seed(7)
        tf.random.get_global_generator().reset_from_seed(7)
        renewal.reseed_tensorflow()
        generator = tf.random.get_global_generator()
        return float(tf.random.uniform([])), float(generator.uniform([]))

    renewal.prepare_tensorflow()
    first, second = draw(), draw()
    assert first[0] != second[0]
    assert first[1] != second[1]
