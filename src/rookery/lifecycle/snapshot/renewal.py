"""What must not be the same in two clones of one snapshot, made anew in each.

A clone keeps its process id and no library notices that it is another process, so nothing here
happens by itself. Libraries that a function may or may not use are reached through `sys.modules`:
those that are not loaded have no state to renew, and must not be loaded for it.
"""

import ctypes
import os
import platform
import random
import ssl
import sys
import tempfile
import uuid
from types import ModuleType
from typing import Final

from snapshot_restore_py import (
    get_after_restore,
    register_after_restore,
    register_before_snapshot,
)

from rookery.lifecycle import instance

_SEED_BYTES: Final = 32


def register() -> None:
    """Register our own hooks as a user registers theirs; once, and before they do."""
    if any(function is renew_identity for function, _, _ in get_after_restore()):
        return
    register_before_snapshot(prepare_tensorflow)
    for renew in _RENEWALS:
        register_after_restore(renew)


def renew_identity() -> None:
    """Become another instance, on the host that this is."""
    instance.renew()
    # Both keep what the host was called, or what its network card is, for as long as they live.
    vars(platform)["_uname_cache"] = None
    vars(uuid)["_node"] = None


def reseed_python() -> None:
    """Seed `random` and the C library, and let `tempfile` choose its folder and names anew."""
    random.seed()
    ctypes.CDLL(None).srand(int.from_bytes(os.urandom(4), "big"))
    # The names start anew in a child process, which is known by its process id; the folder stays
    # the one that the first TMPDIR led to.
    vars(tempfile).update(_name_sequence=None, tempdir=None)


def reseed_openssl() -> None:
    """Seed each copy of OpenSSL; their generators for threads follow at their next use."""
    # Without it two clones make the same keys: OpenSSL reseeds after a fork, and knows of no
    # other way to become two.
    ssl.RAND_add(os.urandom(_SEED_BYTES), float(_SEED_BYTES))
    binding = sys.modules.get("cryptography.hazmat.bindings._rust")
    if binding is not None:  # it has a copy of its own, linked in
        binding._openssl.lib.RAND_add(os.urandom(_SEED_BYTES), _SEED_BYTES, float(_SEED_BYTES))  # noqa: SLF001 - the only way


def reseed_numpy() -> None:
    """Seed the generator behind `numpy.random.seed`; a user's own are the user's."""
    numpy_random = sys.modules.get("numpy.random")
    if numpy_random is not None:
        numpy_random.seed()


def prepare_tensorflow() -> None:
    """Before the snapshot: make the global generator, so that a clone need only seed it."""
    tensorflow = sys.modules.get("tensorflow")
    if tensorflow is not None:
        _seed_generator(tensorflow)


def reseed_tensorflow() -> None:
    """Seed TensorFlow's operations and its global generator."""
    tensorflow = sys.modules.get("tensorflow")
    if tensorflow is None:
        return
    _seed_generator(tensorflow)
    seed = int.from_bytes(os.urandom(4), "big")
    context = sys.modules["tensorflow.python.eager.context"].context_safe()
    if context is not None and "_seed" in vars(context):
        # What `set_seed` does, without throwing away every compiled kernel: the first request
        # would compile the model again (0.8 s for ResNet50).
        vars(context).update(_seed=seed, _rng=random.Random())  # noqa: S311 - seeds of operations
    else:
        tensorflow.random.set_seed(seed)


def _seed_generator(tensorflow: ModuleType) -> None:
    """Give the global generator a state of the kernel's randomness.

    TensorFlow's own (`from_non_deterministic_state`) comes from an engine that is in the snapshot.
    """
    try:
        generator = tensorflow.random.get_global_generator()
    except RuntimeError:
        return  # operations are to be deterministic: there is none
    words = generator.state.shape[0]
    generator.reset([int.from_bytes(os.urandom(8), "big", signed=True) for _ in range(words)])


_RENEWALS: Final = (
    renew_identity,
    reseed_tensorflow,
    reseed_numpy,
    reseed_python,
    reseed_openssl,
)
