import pickle
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rookery.errors import ModelInvalid
from rookery.zoo.efficientnet_lite0 import weights_path
from rookery.zoo.torch_pickle import read_tensors

TENSORS = {
    "conv.weight": np.arange(24, dtype=np.float32).reshape(2, 3, 4),
    "bn.num_batches_tracked": np.array(7, np.int64),
    "bn.weight": np.linspace(0, 1, 5, dtype=np.float32),
}
PREAMBLE = b"".join(
    pickle.dumps(part, 2) for part in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True})
)
NO_KEYS = pickle.dumps([], 2)


def test_tensors_read_back_as_they_were_written(checkpoint):
    found = read_tensors(checkpoint(TENSORS))
    assert list(found) == list(TENSORS)
    for name, array in TENSORS.items():
        np.testing.assert_array_equal(found[name], array)
        assert found[name].dtype == array.dtype


def test_a_view_looks_into_its_storage(checkpoint):
    view = {"bn.weight": (1, (2, 2), (1, 2))}
    found = read_tensors(checkpoint(TENSORS, view=view))["bn.weight"]
    np.testing.assert_array_equal(found, [[0.25, 0.75], [0.5, 1.0]])


def test_tensors_cannot_be_written_to(checkpoint):
    assert not read_tensors(checkpoint(TENSORS))["bn.weight"].flags.writeable


def test_the_package_s_checkpoint_is_read():
    found = read_tensors(weights_path().read_bytes())
    assert found["_conv_stem.weight"].shape == (32, 3, 3, 3)
    assert found["_fc.bias"].shape == (1000,)
    assert len(found) == 296


@pytest.mark.parametrize(
    "view",
    [
        (0, (6,), (1,)),
        (5, (1,), (1,)),
        (0, (2,), (5,)),
        (0, (2, 3), (1, 1)),
        (-1, (1,), (1,)),
        (0, (5,), (-1,)),
        (0, (1 << 62, 1 << 62), (0, 0)),
        (0, (5,), (1 << 62,)),
        (0, (1,) * 9, (1,) * 9),
        (0, (5,), (1, 1)),
        (0, 5, 1),
    ],
)
def test_a_tensor_never_reaches_outside_its_storage(view, checkpoint):
    with pytest.raises(ModelInvalid, match=r"reaches outside its storage|tensor that cannot be"):
        read_tensors(checkpoint(TENSORS, view={"bn.weight": view}))


class Call:
    def __init__(self, function, *arguments):
        self.function = function
        self.arguments = arguments

    def __reduce__(self):
        return self.function, self.arguments


@pytest.mark.parametrize(
    "poison",
    [
        Call(eval, "1"),
        Call(print, "x"),
        Call(getattr, "x", "y"),
        Call(bytearray, 10),
        Call(__import__, "os"),
    ],
    ids=lambda call: call.function.__name__,
)
def test_a_pickle_that_calls_anything_else_is_refused(poison, checkpoint):
    with pytest.raises(ModelInvalid, match="which no checkpoint of weights needs"):
        read_tensors(checkpoint(TENSORS, extra={"poison": poison}))


@pytest.mark.parametrize(
    ("state", "message"),
    [
        (b"\x80\x02cos\nsystem\n.", "refers to os.system"),
        (b"\x80\x02ctorch._utils\n_rebuild_tensor\n.", "refers to torch._utils._rebuild_tensor,"),
        (b"\x80\x02ctorch\nHalfStorage\n.", "refers to torch.HalfStorage"),
        (b"\x80\x04\x8c\x02os\x8c\x06system\x93.", "uses the pickle operation SHORT_BINUNICODE"),
        (b"\x80\x02ios\nsystem\n.", "uses the pickle operation INST"),
        (b"\x80\x02}r\xff\xff\xff\x7f.", "numbers its parts wrongly"),
        (b"\x80\x02X\xff\xff\xff\x7fab.", "damaged"),
        (b"\x80\x02ccollections\nOrderedDict\n]]\x85R.", "no legacy PyTorch checkpoint"),
        (b"\x80\x02ccollections\nOrderedDict\n]\x85R.", "dictionary from arguments"),
        (b"\x80\x02K\x01Q.", "no plain storage"),
        (b"\x80\x02]e.", "damaged"),
        (b"\x80\x02K\x01.", "no state dictionary"),
        (b"\x80\x02}X\x01\0\0\0aK\x01s.", "holds more than tensors"),
        # BUILD: the state dictionary gets an attribute `items` that cannot be called so.
        (
            (
                b"\x80\x02ccollections\nOrderedDict\n)R(X\x01\0\0\0aK\x01u}X\x05\0\0\0items"
                b"ctorch._utils\n_rebuild_tensor_v2\nsb."
            ),
            "holds more than tensors",
        ),
        # BUILD: a tensor that was checked gets another offset.
        (
            (
                b"\x80\x02}X\x01\0\0\0actorch._utils\n_rebuild_tensor_v2\n((X\x07\0\0\0storage"
                b"ctorch\nFloatStorage\nX\x01\0\0\x000X\x03\0\0\0cpuK\x01NtQK\0K\x01\x85K\x01\x85tR"
                b"]X\x01\0\0\0aabs."
            ),
            "no legacy PyTorch checkpoint",
        ),
    ],
)
def test_a_hostile_state_is_refused_and_nothing_runs(state, message):
    with pytest.raises(ModelInvalid, match=message):
        read_tensors(PREAMBLE + state + NO_KEYS)


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ((1, 1001, {"little_endian": True}, {}, []), "magic number is wrong"),
        ((0x1950A86A20F9469CFC6C, 1000, {"little_endian": True}, {}, []), "magic number is wrong"),
        ((0x1950A86A20F9469CFC6C, 1001, {"little_endian": False}, {}, []), "little-endian"),
        ((0x1950A86A20F9469CFC6C, 1001, [], {}, []), "little-endian"),
        ((0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}, {}, ["0"]), "storages are not"),
        ((0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}, {}, 5), "storages are not"),
    ],
)
def test_another_kind_of_file_is_named(parts, message):
    with pytest.raises(ModelInvalid, match=message):
        read_tensors(b"".join(pickle.dumps(part, 2) for part in parts))


@pytest.mark.parametrize("keep", [0, 1, 20, 100, -1, -60])
def test_a_cut_off_checkpoint_is_refused(keep, checkpoint):
    with pytest.raises(ModelInvalid, match=r"damaged|cut off"):
        read_tensors(checkpoint(TENSORS)[:keep])


def test_bytes_behind_the_last_storage_are_refused(checkpoint):
    with pytest.raises(ModelInvalid, match="has 3 bytes too many"):
        read_tensors(checkpoint(TENSORS) + b"abc")


def test_a_zip_checkpoint_is_no_legacy_one():
    with pytest.raises(ModelInvalid, match="no legacy PyTorch checkpoint"):
        read_tensors(b"PK\x03\x04" + b"\0" * 100)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300)
@given(st.data())
def test_a_mutated_checkpoint_gives_tensors_or_model_invalid(checkpoint, data):
    content = bytearray(checkpoint(TENSORS))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content) - 1))
        content[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    with suppress(ModelInvalid):
        read_tensors(bytes(content))
