"""Published models, made once per test run, and a writer of legacy PyTorch checkpoints."""

import fcntl
import os
import pickle
import subprocess
import sys
from collections import OrderedDict
from collections.abc import Callable
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from click.testing import CliRunner

from rookery.cli.root import root
from rookery.models.repository import Repository


@pytest.fixture(scope="session")
def photographs() -> dict[str, bytes]:
    paths = {
        "grace_hopper": ("matplotlib", "mpl-data/sample_data/grace_hopper.jpg"),
        "china": ("sklearn", "datasets/images/china.jpg"),
        "flower": ("sklearn", "datasets/images/flower.jpg"),
    }
    found = {}
    for name, (package, path) in paths.items():
        spec = find_spec(package)
        assert spec is not None
        assert spec.origin is not None
        found[name] = (Path(spec.origin).parent / path).read_bytes()
    return found


@pytest.fixture(scope="session")
def pulled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home in which `rookery models pull efficientnet-lite0` ran, and what it printed."""
    base = tmp_path_factory.getbasetemp()
    # Under xdist, the folder above is the one all workers of this run share.
    home = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "rookery-home"
    home.mkdir(exist_ok=True)
    with (home / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (home / "printed").exists():
            done = subprocess.run(
                [sys.executable, "-m", "rookery", "models", "pull", "efficientnet-lite0"],
                env=os.environ | {"ROOKERY_HOME": str(home)},
                capture_output=True,
                text=True,
                check=True,
            )
            (home / "printed").write_text(done.stdout + done.stderr)
    return home


@pytest.fixture(scope="session")
def pulled_repository(pulled: Path) -> Repository:
    return Repository(pulled / "models")


class _Reduced:
    """Pickles as a call of *function* with *arguments*."""

    def __init__(self, function, arguments):
        self.function = function
        self.arguments = arguments

    def __reduce__(self):
        return self.function, self.arguments


class _Storage:
    def __init__(self, kind, key, count):
        self.identity = ("storage", kind, key, "cpu", count, None)


class _Pickler(pickle.Pickler):
    def persistent_id(self, obj):
        return obj.identity if isinstance(obj, _Storage) else None


def _fake_torch():
    """The three names a checkpoint refers to, as globals that pickle can find."""
    torch, utils = ModuleType("torch"), ModuleType("torch._utils")
    for module, name in ((torch, "FloatStorage"), (torch, "LongStorage")):
        setattr(module, name, type(name, (), {"__module__": "torch"}))

    def _rebuild_tensor_v2():
        raise AssertionError("never called: only its name is written")

    _rebuild_tensor_v2.__module__ = "torch._utils"
    _rebuild_tensor_v2.__qualname__ = "_rebuild_tensor_v2"
    utils._rebuild_tensor_v2 = _rebuild_tensor_v2
    torch._utils = utils
    return torch, utils


@pytest.fixture
def checkpoint(monkeypatch: pytest.MonkeyPatch) -> Callable[..., bytes]:
    """Write arrays as torch.save wrote them before PyTorch 1.6.

    `view` replaces the (offset, shape, strides) of tensors by name, and `extra` adds entries to
    the state dictionary.
    """
    torch, utils = _fake_torch()
    monkeypatch.setitem(sys.modules, "torch", torch)
    monkeypatch.setitem(sys.modules, "torch._utils", utils)

    def write(tensors, *, view=None, extra=None):
        state = OrderedDict()
        for number, (name, array) in enumerate(tensors.items()):
            kind = torch.FloatStorage if array.dtype == np.float32 else torch.LongStorage
            strides = tuple(stride // array.itemsize for stride in array.strides)
            where = (view or {}).get(name, (0, array.shape, strides))
            arguments = (_Storage(kind, str(number), array.size), *where, False, OrderedDict())
            state[name] = _Reduced(utils._rebuild_tensor_v2, arguments)
        state.update(extra or {})
        stream = BytesIO()
        system = {"protocol_version": 1001, "little_endian": True, "type_sizes": {"int": 4}}
        keys = [str(number) for number in range(len(tensors))]
        for part in (0x1950A86A20F9469CFC6C, 1001, system, state, keys):
            _Pickler(stream, 2).dump(part)
        for array in tensors.values():
            stream.write(array.size.to_bytes(8, "little"))
            stream.write(array.tobytes())
        return stream.getvalue()

    return write


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("ROOKERY_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def run(home):
    del home

    def rookery_models(*arguments, fails=None):
        result = CliRunner().invoke(root, ["models", *map(str, arguments)])
        if fails is None:
            assert result.exception is None, result.output
            return result.output
        assert isinstance(result.exception, fails)
        return str(result.exception)

    return rookery_models
