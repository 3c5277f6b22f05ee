"""TF-Slim's checkpoints and frozen graphs, written here as TF-Slim's tools wrote them."""

import io
import tarfile

import numpy as np
import pytest

from rookery.errors import ModelInvalid
from rookery.zoo import inception_v1, slim
from rookery.zoo.googlenet import load_weights as load_googlenet

pytestmark = [pytest.mark.tensorflow, pytest.mark.xdist_group("tensorflow")]

RNG = np.random.default_rng(0)
VARIABLES = {
    "Net/conv/weights": RNG.normal(size=(3, 3, 3, 2)).astype(np.float32),
    "Net/conv/BatchNorm/beta": RNG.normal(size=2).astype(np.float32),
    "Net/conv/BatchNorm/moving_mean": RNG.normal(size=2).astype(np.float32),
    "Net/conv/BatchNorm/moving_variance": RNG.uniform(1, 2, 2).astype(np.float32),
    "Net/Logits/Conv/weights": RNG.normal(size=(1, 1, 2, 5)).astype(np.float32),
    "Net/Logits/Conv/biases": RNG.normal(size=5).astype(np.float32),
    "global_step": np.array(7, np.int64),
}


@pytest.fixture(scope="module")
def tf():
    from rookery.backends.savedmodel import import_tensorflow

    return import_tensorflow()


@pytest.fixture
def network(tf):
    del tf
    from keras import Input, Sequential, layers

    convolution = layers.Conv2D(2, 3, use_bias=False, name="conv")
    norm = layers.BatchNormalization(scale=False, name="conv.BatchNorm")
    pool, dense = layers.GlobalAveragePooling2D(), layers.Dense(4, name="Logits.Conv")
    return Sequential([Input((5, 5, 3)), convolution, norm, pool, dense], name="small")


def first_format(tf, path, variables):
    """One file, as TensorFlow's Saver wrote until 2016, and what TF-Slim's archives hold."""
    tf.raw_ops.Save(filename=str(path), tensor_names=list(variables), data=list(variables.values()))
    return path


def second_format(tf, path, variables):
    tf.raw_ops.SaveV2(
        prefix=str(path),
        tensor_names=list(variables),
        shape_and_slices=[""] * len(variables),
        tensors=list(variables.values()),
    )
    # Saver merges the shards to this name; one shard is renamed.
    return path.with_name(f"{path.name}.index")


def data_of_second_format(tf, path, variables):
    second_format(tf, path, variables)
    return path.with_name(f"{path.name}.data-00000-of-00001")


def archive(tf, path, variables, *, name="./inception_v1.ckpt", kind="gz"):
    content = first_format(tf, path, variables).read_bytes()
    target = path.with_name("inception_v1_2016_08_28.tar.gz")
    with tarfile.open(target, f"w:{kind}") as tar:
        info = tarfile.TarInfo(name)
        info.size = len(content)
        tar.addfile(info, io.BytesIO(content))
    return target


def frozen(tf, path, variables):
    with tf.Graph().as_default() as graph:
        for name, value in variables.items():
            tf.constant(value, name=name)
    target = path.with_name("inception_v1_2016_08_28_frozen.pb")
    target.write_bytes(graph.as_graph_def().SerializeToString())
    return target


WRITERS = [first_format, second_format, data_of_second_format, archive, frozen]


@pytest.mark.parametrize("write", WRITERS)
def test_variables_reach_their_layers_and_the_background_is_dropped(write, tf, network, tmp_path):
    slim.load_weights(network, write(tf, tmp_path / "model.ckpt", VARIABLES), scope="Net")
    conv, norm, _, dense = network.layers
    np.testing.assert_array_equal(conv.kernel, VARIABLES["Net/conv/weights"])
    for name in ("beta", "moving_mean", "moving_variance"):
        np.testing.assert_array_equal(getattr(norm, name), VARIABLES[f"Net/conv/BatchNorm/{name}"])
    np.testing.assert_array_equal(dense.kernel, VARIABLES["Net/Logits/Conv/weights"][0, 0, :, 1:])
    np.testing.assert_array_equal(dense.bias, VARIABLES["Net/Logits/Conv/biases"][1:])


@pytest.mark.parametrize("write", [first_format, frozen])
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"Net/conv/weights": None},
            "it has no variable Net/conv/weights; its first is Net/Logits/Conv/biases",
        ),
        (
            {"Net/conv/weights": np.zeros((5, 5, 3, 2), np.float32)},
            r"variable Net/conv/weights is \(5, 5, 3, 2\), the network's is \(3, 3, 3, 2\)",
        ),
        (
            {"Net/Logits/Conv/biases": np.zeros(4, np.float32)},
            r"variable Net/Logits/Conv/biases is \(4,\), the network's is \(5,\)",
        ),
        (
            {"Net/conv/BatchNorm/beta": np.zeros(2, np.float64)},
            r"variable Net/conv/BatchNorm/beta is float64\(2,\), not float32",
        ),
    ],
)
def test_the_first_variable_that_does_not_fit_is_named(  # noqa: PLR0913, PLR0917 - fixtures
    write, changes, message, tf, network, tmp_path
):
    merged = {name: value for name, value in (VARIABLES | changes).items() if value is not None}
    path = write(tf, tmp_path / "model.ckpt", merged)
    with pytest.raises(ModelInvalid, match=f"holds no weights of small: {message}"):
        slim.load_weights(network, path, scope="Net")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("model.ckpt", b"no checkpoint", "TensorFlow reads no checkpoint there"),
        ("model.ckpt", b"", "TensorFlow reads no checkpoint there"),
        ("model.ckpt.index", b"no index", "TensorFlow reads no checkpoint there"),
        ("model.pb", b"no graph", "no TensorFlow graph, or a damaged one"),
        ("model.pb", b"", "no TensorFlow graph, or an empty one"),
        ("model.tar.gz", b"no archive", "it is no archive, or a damaged one"),
    ],
)
def test_a_damaged_file_is_refused(name, content, message, network, tmp_path):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ModelInvalid, match=message):
        slim.load_weights(network, path, scope="Net")


@pytest.mark.parametrize("write", WRITERS)
def test_a_file_that_is_cut_off_is_refused(write, tf, network, tmp_path):
    path = write(tf, tmp_path / "model.ckpt", VARIABLES)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(ModelInvalid, match="holds no weights of small"):
        slim.load_weights(network, path, scope="Net")


@pytest.mark.parametrize("at", [0.2, 0.5, 0.8, 1])
def test_an_archive_damaged_anywhere_is_refused_under_its_own_name(at, tf, network, tmp_path):
    path = archive(tf, tmp_path / "model.ckpt", VARIABLES)
    data = bytearray(path.read_bytes())
    data[min(int(len(data) * at), len(data) - 8)] ^= 0xFF  # the last 8 bytes are the checksum
    path.write_bytes(data)
    with pytest.raises(ModelInvalid, match="it is no archive, or a damaged one") as caught:
        slim.load_weights(network, path, scope="Net")
    assert str(path) in str(caught.value)


def test_a_bad_checkpoint_in_an_archive_is_told_of_by_the_archive(network, tmp_path):
    path = tmp_path / "inception.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        info = tarfile.TarInfo("inception_v1.ckpt")
        info.size = 5
        tar.addfile(info, io.BytesIO(b"wrong"))
    with pytest.raises(ModelInvalid, match="reads no checkpoint there") as caught:
        slim.load_weights(network, path, scope="Net")
    assert "rookery-slim-" not in str(caught.value)


def test_an_archive_without_a_checkpoint_is_refused(tf, network, tmp_path):
    path = archive(tf, tmp_path / "model.ckpt", VARIABLES, name="readme.txt")
    with pytest.raises(ModelInvalid, match=r"it holds 0 files \*\.ckpt"):
        slim.load_weights(network, path, scope="Net")


def test_an_archive_never_writes_outside_its_folder(tf, network, tmp_path):
    path = archive(tf, tmp_path / "model.ckpt", VARIABLES, name="../../escaped.ckpt")
    slim.load_weights(network, path, scope="Net")
    assert list(tmp_path.parent.rglob("escaped.ckpt")) == []


def test_a_link_in_an_archive_is_not_followed(network, tmp_path):
    path = tmp_path / "links.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        link = tarfile.TarInfo("inception_v1.ckpt")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    with pytest.raises(ModelInvalid, match="an archive of TF-Slim has one"):
        slim.load_weights(network, path, scope="Net")


def test_a_missing_file_is_refused(network, tmp_path):
    for name in ("gone.ckpt", "gone.pb", "gone.tar.gz"):
        with pytest.raises(ModelInvalid, match="holds no weights of small"):
            slim.load_weights(network, tmp_path / name, scope="Net")


# --- Inception v1 itself -------------------------------------------------------------------

# Below InceptionV1, as slim's inception_v1.py has them: scope, filters, kernel.
STEM = (("Conv2d_1a_7x7", 64, 7), ("Conv2d_2b_1x1", 64, 1), ("Conv2d_2c_3x3", 192, 3))
MIXED = {
    "3b": (64, 96, 128, 16, 32, 32),
    "3c": (128, 128, 192, 32, 96, 64),
    "4b": (192, 96, 208, 16, 48, 64),
    "4c": (160, 112, 224, 24, 64, 64),
    "4d": (128, 128, 256, 24, 64, 64),
    "4e": (112, 144, 288, 32, 64, 64),
    "4f": (256, 160, 320, 32, 128, 128),
    "5b": (256, 160, 320, 32, 128, 128),
    "5c": (384, 192, 384, 48, 128, 128),
}


class SlimInception:
    """Slim's graph in plain operations, and random variables of its names."""

    def __init__(self, tf):
        self.tf = tf
        self.variables = {}

    def convolve(self, x, scope, filters, kernel, stride=1):
        self.variables |= {
            f"InceptionV1/{scope}/weights": RNG.normal(
                0, np.sqrt(2 / (kernel**2 * x.shape[-1])), (kernel, kernel, x.shape[-1], filters)
            ),
            f"InceptionV1/{scope}/BatchNorm/beta": RNG.normal(0, 0.3, filters),
            f"InceptionV1/{scope}/BatchNorm/moving_mean": RNG.normal(0, 0.3, filters),
            f"InceptionV1/{scope}/BatchNorm/moving_variance": RNG.uniform(0.5, 1.5, filters),
        }
        weights, beta, mean, variance = (
            value.astype(np.float32) for value in list(self.variables.values())[-4:]
        )
        x = self.tf.nn.conv2d(x, weights, stride, "SAME")
        return self.tf.nn.relu(self.tf.nn.batch_normalization(x, mean, variance, beta, None, 1e-3))

    def pool(self, x, window, stride):
        return self.tf.nn.max_pool2d(x, window, stride, "SAME")

    def __call__(self, image):
        x = self.convolve(image, *STEM[0], stride=2)
        x = self.pool(x, 3, 2)
        for scope, filters, kernel in STEM[1:]:
            x = self.convolve(x, scope, filters, kernel)
        for name, (one, reduce3, three, reduce5, five, projected) in MIXED.items():
            if name in {"3b", "4b", "5b"}:
                x = self.pool(x, 2 if name == "5b" else 3, 2)
            slip = "Conv2d_0a_3x3" if name == "5b" else "Conv2d_0b_3x3"
            mixed = f"Mixed_{name}/Branch"
            small = self.convolve(x, f"{mixed}_1/Conv2d_0a_1x1", reduce3, 1)
            smaller = self.convolve(x, f"{mixed}_2/Conv2d_0a_1x1", reduce5, 1)
            pooled = self.pool(x, 3, 1)
            branches = [
                self.convolve(x, f"{mixed}_0/Conv2d_0a_1x1", one, 1),
                self.convolve(small, f"{mixed}_1/Conv2d_0b_3x3", three, 3),
                self.convolve(smaller, f"{mixed}_2/{slip}", five, 3),
                self.convolve(pooled, f"{mixed}_3/Conv2d_0b_1x1", projected, 1),
            ]
            x = self.tf.concat(branches, 3)
        weights = RNG.normal(0, 0.03, (1, 1, 1024, 1001)).astype(np.float32)
        biases = RNG.normal(0, 0.3, 1001).astype(np.float32)
        self.variables["InceptionV1/Logits/Conv2d_0c_1x1/weights"] = weights
        self.variables["InceptionV1/Logits/Conv2d_0c_1x1/biases"] = biases
        x = self.tf.nn.avg_pool2d(x, 7, 1, "VALID")
        logits = (self.tf.nn.conv2d(x, weights, 1, "VALID") + biases)[:, 0, 0]
        return self.tf.nn.softmax(logits[:, 1:]).numpy()


@pytest.fixture(scope="module")
def checkpoint(tf, tmp_path_factory):
    """What slim computes for one image, and the checkpoint it has computed it with."""
    image = RNG.uniform(-1, 1, (1, 224, 224, 3)).astype(np.float32)
    there = SlimInception(tf)
    probabilities = there(image)
    variables = {name: value.astype(np.float32) for name, value in there.variables.items()}
    variables["global_step"] = np.array(0, np.int64)
    path = tmp_path_factory.mktemp("slim") / "inception_v1.ckpt"
    return image, probabilities, first_format(tf, path, variables)


def test_inception_v1_computes_what_slim_does(checkpoint):
    image, probabilities, path = checkpoint
    network = inception_v1.build()
    slim.load_weights(network, path, scope=inception_v1.SCOPE)
    found = np.asarray(network(image, training=False))
    assert probabilities.max() > 0.01
    np.testing.assert_array_equal(found.argsort()[0, -5:], probabilities.argsort()[0, -5:])
    np.testing.assert_allclose(found, probabilities, atol=1e-5)


def test_googlenet_says_which_model_takes_slim_s_checkpoint(checkpoint):
    with pytest.raises(ModelInvalid, match="rookery models pull inception-v1"):
        load_googlenet(None, checkpoint[2])
