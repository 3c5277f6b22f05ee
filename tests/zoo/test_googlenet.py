"""GoogLeNet gives what Caffe's does, by OpenCV's reading of Caffe, and so on every backend."""

import cv2
import numpy as np
import pytest

from caffe_googlenet import caffemodel, prototxt, random_weights
from rookery.backends.registry import create_backend
from rookery.errors import ModelInvalid
from rookery.images.decode import decode
from rookery.images.limits import ImageLimits
from rookery.images.normalize import normalize
from rookery.models.repository import Repository
from rookery.zoo.catalog import ZOO
from rookery.zoo.pulled import pull

pytestmark = [pytest.mark.tensorflow, pytest.mark.xdist_group("tensorflow")]

# The sums are made in another order by each; measured: below 2e-6.
TOLERANCE = 1e-5
BACKENDS = ("tensorflow", "tensorflow-frozen", "openvino", "opencv")


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """As BVLC published its own: layers of 2014, with the auxiliary classifiers."""
    path = tmp_path_factory.mktemp("caffe") / "bvlc_googlenet.caffemodel"
    auxiliary = {"loss1/fc": [np.zeros((2, 3), np.float32), np.zeros(2, np.float32)]}
    path.write_bytes(caffemodel(random_weights(0) | auxiliary, old=True))
    return path


@pytest.fixture(scope="module")
def batch(photographs):
    preprocessing = ZOO["googlenet"].card.input
    return np.stack(
        [
            normalize(decode(data, preprocessing, ImageLimits()).pixels, preprocessing)
            for data in photographs.values()
        ]
    )


@pytest.fixture(scope="module")
def caffe(weights, batch):
    """What OpenCV computes from BVLC's prototxt."""
    text = np.frombuffer(prototxt().encode(), np.uint8)
    net = cv2.dnn.readNetFromCaffe(text, np.frombuffer(weights.read_bytes(), np.uint8))
    answers = []
    for image in batch:
        net.setInput(np.ascontiguousarray(image.transpose(2, 0, 1)[None]))
        answers.append(net.forward()[0].copy())
    return np.stack(answers)


@pytest.fixture(scope="module")
def version(weights, tmp_path_factory):
    root = tmp_path_factory.mktemp("googlenet")
    made, _ = pull("googlenet", Repository(root / "models"), root / "downloads", file=weights)
    return made


def test_the_weights_answer_differently_to_every_photograph(caffe):
    assert caffe.std(axis=0).max() > 0.01


@pytest.mark.parametrize("backend", BACKENDS)
def test_every_backend_gives_what_caffe_s_network_gives(backend, version, batch, caffe):
    model = create_backend(backend).load(version.directory, version.card)
    found = model(batch)["probabilities"]
    np.testing.assert_array_equal(found.argsort()[:, -5:], caffe.argsort()[:, -5:])
    np.testing.assert_allclose(found, caffe, atol=TOLERANCE)


def test_the_card_of_a_file_claims_neither_accuracy_nor_license(version):
    assert version.card.source.startswith("the file bvlc_googlenet.caffemodel, sha256 ")
    assert (version.card.top_1, version.card.license) == (None, "NOASSERTION")


@pytest.mark.parametrize("name", ["weights.npy", "frozen.pb", "inception_v1.ckpt"])
def test_a_file_that_is_none_of_its_weights_is_refused(name, tmp_path):
    path = tmp_path / name
    path.write_bytes(b"?")
    with pytest.raises(ModelInvalid, match=r"which takes \.caffemodel and \.h5"):
        ZOO["googlenet"].network.load_weights(None, path)
