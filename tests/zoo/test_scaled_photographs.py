"""A photograph that its decoder scales is still seen as what it is.

The whole comparison is `scripts/bench quality`; this is a part of it that takes seconds.
"""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from rookery.backends.options import Options
from rookery.backends.registry import create_backend
from rookery.images.decode import decode
from rookery.images.limits import ImageLimits
from rookery.images.normalize import normalize

# Measured: below 0.04 of 100 photographs of five sizes; 0.14 without oversampling.
MOST = 0.06


@pytest.fixture(scope="module")
def version(pulled_repository):
    return pulled_repository.find("efficientnet-lite0")


@pytest.fixture(scope="module")
def probabilities(version):
    model = create_backend("openvino", Options(threads=1)).load(version.directory, version.card)
    return lambda pixels: model(normalize(pixels, version.card.input)[None])[version.card.output][0]


def enlarged(image, width, height):
    return image.resize((width, height), Image.Resampling.BICUBIC)


def tiled(image, width, height):
    """Continue *image* with its mirror images: it has the detail that an enlarged one lacks."""
    missing = ((0, height - image.height), (0, width - image.width), (0, 0))
    return Image.fromarray(np.pad(np.asarray(image), missing, mode="symmetric"))


# Both are scaled as far as ever: to twice what the model takes, by a half and by a quarter.
@pytest.mark.parametrize("side", [900, 1800])
@pytest.mark.parametrize("name", ["grace_hopper", "china", "flower"])
@pytest.mark.parametrize("brought_to", [enlarged, tiled])
def test_scaled_decoding_keeps_the_class_and_its_probability(  # noqa: PLR0913, PLR0917 - a table and fixtures
    brought_to, name, side, photographs, probabilities, version
):
    stream = BytesIO()
    with Image.open(BytesIO(photographs[name])) as image:
        factor = side / min(image.size)
        large = brought_to(image, round(image.width * factor), round(image.height * factor))
    large.save(stream, "JPEG", quality=90)
    with Image.open(stream) as image:
        full = np.asarray(image.resize((224, 224), Image.Resampling.BICUBIC))
    exact = probabilities(full)
    ours = probabilities(decode(stream.getvalue(), version.card.input, ImageLimits()).pixels)
    assert ours.argmax() == exact.argmax()
    assert np.abs(ours - exact).max() < MOST
