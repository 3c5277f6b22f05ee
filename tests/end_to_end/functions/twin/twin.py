"""A function that writes down, in every clone, what it draws at random and where it woke up."""

import json
import os
import random
import ssl
import sys
import tempfile
import time
import uuid
from contextlib import suppress
from pathlib import Path

import numpy as np
from snapshot_restore_py import register_after_restore

from rookery.assemble import Function
from rookery.lifecycle.instance import current

function = Function("twin", folder=Path(__file__).parent)

# Used before the snapshot, so that what they remember is in it.
_CONTEXT = ssl.create_default_context()
_KEPT = random.Random(os.urandom(16))  # a generator that nobody can reseed for us
random.random()
np.random.random()  # noqa: NPY002 - the generator that all of a process share
current()
with tempfile.TemporaryDirectory():
    pass


def _client_random() -> bytes:
    """The random bytes of a TLS handshake, as a server sees them: RFC 8446, section 4.1.2."""
    written = ssl.MemoryBIO()
    client = _CONTEXT.wrap_bio(ssl.MemoryBIO(), written, server_hostname="localhost")
    with suppress(ssl.SSLWantReadError):
        client.do_handshake()
    return written.read()[11:43]  # after the headers of record and message, and the version


def _temporary_name() -> str:
    with tempfile.TemporaryDirectory() as folder:
        return folder


def _tensorflow() -> float | None:
    tensorflow = sys.modules.get("tensorflow")
    return None if tensorflow is None else float(tensorflow.random.uniform(()))


if "tensorflow" in os.environ.get("ROOKERY_BACKEND", ""):
    import tensorflow as tf

    tf.random.uniform(())


def _note_draws() -> None:
    path = os.environ.get("TWIN_NOTES")
    if path is None:
        return
    draws = {
        "instance": current().id,
        "python": random.random(),
        "numpy": np.random.random(),  # noqa: NPY002
        "tensorflow": _tensorflow(),
        "openssl": ssl.RAND_bytes(16).hex(),
        "tls": _client_random().hex(),
        "uuid1": str(uuid.uuid1()),
        "uuid4": str(uuid.uuid4()),
        "temporary": _temporary_name(),
    }
    place = {
        "kept": _KEPT.random(),
        "pid": os.getpid(),
        "directory": str(Path.cwd()),
        "environ": dict(os.environ),
    }
    Path(path).write_text(json.dumps({"draws": draws, "place": place}))


def _fail_or_hang() -> None:
    if os.environ.get("TWIN_HOOK") == "raises":
        raise RuntimeError("the hook of a test")
    if os.environ.get("TWIN_HOOK") == "hangs":
        time.sleep(60)


register_after_restore(_note_draws)
register_after_restore(_fail_or_hang)
