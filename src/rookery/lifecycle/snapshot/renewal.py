"""What must not be the same in two clones of one snapshot, made anew in each.

A clone keeps its process id and no library notices that it is another process, so nothing here
happens by itself. Libraries that a function may or may not use are reached through `sys.modules`:
those that are not loaded have no state to renew, and must not be loaded for it.
"""

import os
import platform
import random
import ssl
import sys
import tempfile
import uuid

from snapshot_restore_py import get_after_restore, register_after_restore

from rookery.lifecycle import instance

_SEED_BYTES = 32


def register() -> None:
    """Register our own after-restore hooks as a user registers theirs; call it before they do."""
    registered = {entry[0] for entry in get_after_restore()}
    for renew in _RENEWALS:
        if renew not in registered:
            register_after_restore(renew)


def renew_identity() -> None:
    """Become another instance, on the host that this is."""
    instance.renew()
    # Both keep what the host was called, or what its network card is, for as long as they live.
    vars(platform)["_uname_cache"] = None
    vars(uuid)["_node"] = None


def reseed_python() -> None:
    """Seed `random`, and forget the sequence of names of `tempfile`."""
    random.seed()
    # It starts anew in a child process, which it knows by its process id.
    vars(tempfile)["_name_sequence"] = None


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


def reseed_tensorflow() -> None:
    """Seed TensorFlow's operations and its global generator, and Keras' where it is used."""
    tensorflow = sys.modules.get("tensorflow")
    if tensorflow is None:
        return
    seed = int.from_bytes(os.urandom(4), "big")
    tensorflow.random.set_seed(seed)


# In the order in which they run: what names this process first, for the logs of the others.
_RENEWALS = (renew_identity, reseed_python, reseed_openssl, reseed_numpy, reseed_tensorflow)
