"""TensorFlow on a GPU: the same answers, and no more of its memory than they take."""

import numpy as np
import pytest

from rookery.backends.registry import create_backend
from rookery.backends.savedmodel import import_tensorflow

pytestmark = [
    pytest.mark.tensorflow,
    pytest.mark.xdist_group("tensorflow"),
    pytest.mark.usefixtures("gpu"),
]

BATCH = np.random.default_rng(0).random((2, 8, 6, 3), np.float32)
GIBIBYTE = 2**30


@pytest.fixture(scope="module")
def gpu():
    devices = import_tensorflow().config.list_physical_devices("GPU")
    if not devices:
        pytest.skip("TensorFlow sees no GPU; docs/gpu.md says what it takes")
    return devices[0]


@pytest.fixture(scope="module", params=["tensorflow", "tensorflow-frozen", "tensorflow-xla"])
def model(request, tiny, card):
    return create_backend(request.param).load(tiny, card)


def test_it_gives_what_arithmetic_gives(model, expected):
    np.testing.assert_allclose(model(BATCH)["scores"], expected(BATCH), atol=1e-4)


def test_a_batch_is_computed_there_in_little_memory(model, gpu):
    model(BATCH)
    config = import_tensorflow().config
    assert config.experimental.get_memory_growth(gpu)
    assert 0 < config.experimental.get_memory_info("GPU:0")["peak"] < GIBIBYTE
