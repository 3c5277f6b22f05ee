"""A network that says which color prevails, in OpenVINO's own format, and pictures of colors."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rookery.backends.openvino import import_openvino
from rookery.images.preprocessing import Preprocessing
from rookery.models.card import ModelCard
from rookery.models.labels import write_labels
from rookery.models.repository import ModelVersion, Repository

LABELS = ("red", "green", "blue")
CARD = ModelCard(
    name="colors",
    version=1,
    architecture="prevailing color",
    license="CC0-1.0",
    source="made for a test",
    format="openvino",
    signature="serving_default",
    output="scores",
    activation="probabilities",
    labels="labels.txt",
    classes=3,
    input=Preprocessing(height=8, width=8, scale=(255.0, 255.0, 255.0)),
    top_1=0.9,
    parameters=18,
)


@pytest.fixture(scope="session", name="write_network")
def write_network_fixture() -> Callable[..., None]:
    return write_network


def write_network(
    directory: Path, order: tuple[int, int, int] = (0, 1, 2), *, planar: bool = False
) -> None:
    """Write model.xml and model.bin; *order* is which class each color is taken for."""
    ops = import_openvino().opset13
    shape = [-1, 3, 8, 8] if planar else [-1, 8, 8, 3]
    image = ops.parameter(shape, np.float32, name="image")
    image.output(0).set_names({"image"})
    planes = image if planar else ops.transpose(image, ops.constant(np.array([0, 3, 1, 2])))
    kernel = ops.constant(np.eye(3, dtype=np.float32).reshape(3, 3, 1, 1))
    colors = ops.relu(ops.convolution(planes, kernel, [1, 1], [0, 0], [0, 0], [1, 1]))
    means = ops.reduce_mean(colors, ops.constant(np.array([2, 3])))
    weights = ops.constant(8 * np.eye(3, dtype=np.float32)[:, list(order)])
    scores = ops.softmax(ops.matmul(means, weights, transpose_a=False, transpose_b=False), 1)
    scores.output(0).set_names({"scores"})
    library = import_openvino()
    library.save_model(
        library.Model([scores], [image], "colors"), directory / "model.xml", compress_to_fp16=False
    )


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "home" / "models")


@pytest.fixture
def version(repository: Repository) -> ModelVersion:
    def build(directory: Path) -> None:
        write_network(directory)
        write_labels(directory / "labels.txt", LABELS)

    return repository.publish(CARD, build)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Four pictures of each color, in the folder of its name, and a file that is none."""
    folder = tmp_path / "photos"
    generator = np.random.default_rng(1)
    for index, label in enumerate(LABELS):
        (folder / label).mkdir(parents=True)
        for number in range(4):
            pixels = generator.integers(0, 120, (8, 8, 3), np.uint8)
            pixels[:, :, index] += 100
            Image.fromarray(pixels).save(folder / label / f"{number}.png")
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    return folder
