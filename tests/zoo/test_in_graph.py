"""The preprocessing inside of an exported graph, against the one that serving does."""

from io import BytesIO
from itertools import product

import numpy as np
import pytest
from PIL import Image

from rookery.images.decode import decode
from rookery.images.limits import ImageLimits
from rookery.images.normalize import normalize
from rookery.images.preprocessing import Preprocessing
from rookery.zoo import in_graph

pytestmark = [pytest.mark.tensorflow, pytest.mark.xdist_group("tensorflow")]


@pytest.fixture(scope="module")
def tf():
    from rookery.backends.savedmodel import import_tensorflow

    return import_tensorflow()


@pytest.fixture(scope="module")
def picture(photographs) -> Image.Image:
    return Image.open(BytesIO(photographs["flower"])).convert("RGB").resize((150, 97))


def encode(image: Image.Image, kind: str, **options: object) -> bytes:
    stream = BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def both(tf, data: bytes, target: Preprocessing):
    """The pixels of both ways, as whole numbers."""
    served = decode(data, target, ImageLimits()).pixels
    if target.color_order == "BGR":
        served = served[..., ::-1]
    exported = in_graph.fit(in_graph.decode(tf.constant(data)), target).numpy()
    return served.astype(np.int32), exported.astype(np.int32)


MODES = [{}, {"resize": "center-crop"}, {"resize": "center-crop", "crop_fraction": 0.875}]
FILTERS = ["nearest", "bilinear", "bicubic", "lanczos"]


@pytest.mark.parametrize(("filter_", "mode"), list(product(FILTERS, MODES)))
def test_pixels_are_within_one_grey_level_of_what_is_served(tf, picture, filter_, mode):
    target = Preprocessing(height=56, width=64, interpolation=filter_, **mode)
    served, exported = both(tf, encode(picture, "PNG"), target)
    # One pixel in ten thousand may stand right between two levels in both directions.
    difference = np.abs(served - exported)
    assert (difference > 1).mean() < 1e-4
    assert difference.max() <= 2


@pytest.mark.parametrize("size", [(40, 30), (64, 56), (64, 200), (1, 1)])
def test_small_pictures_are_enlarged_alike(tf, picture, size):
    served, exported = both(
        tf, encode(picture.resize(size), "PNG"), Preprocessing(height=56, width=64)
    )
    assert np.abs(served - exported).max() <= 1


def transparent(picture):
    picture = picture.copy()
    picture.putalpha(Image.linear_gradient("L").resize(picture.size))
    return encode(picture, "PNG")


FILES = {
    "grey PNG": lambda picture: encode(picture.convert("L"), "PNG"),
    "PNG with a palette": lambda picture: encode(picture.quantize(64), "PNG"),
    "16-bit PNG": lambda picture: encode(picture.convert("L").convert("I;16"), "PNG"),
    "BMP": lambda picture: encode(picture, "BMP"),
    "GIF": lambda picture: encode(picture.quantize(64), "GIF"),
    "JPEG": lambda picture: encode(picture, "JPEG", quality=95),
    "grey JPEG": lambda picture: encode(picture.convert("L"), "JPEG", quality=95),
}


@pytest.mark.parametrize("kind", FILES)
def test_formats_are_decoded_alike(tf, picture, kind):
    # Not smaller than the picture: a JPEG is then decoded in full by both.
    target = Preprocessing(height=97, width=150)
    served, exported = both(tf, FILES[kind](picture), target)
    assert np.abs(served - exported).max() <= 1


def test_transparency_is_white(tf, picture):
    # No filter that overshoots: Pillow clips colors and transparency apart.
    target = Preprocessing(height=56, width=64, interpolation="bilinear")
    served, exported = both(tf, transparent(picture), target)
    # Pillow rounds once more, between colors and transparency.
    assert np.abs(served - exported).max() <= 3
    assert exported[0].mean() > 240


def test_a_batch_is_normalized_in_the_order_of_the_network(tf, picture):
    target = Preprocessing(
        height=56, width=64, color_order="BGR", mean=(1.0, 20.0, 300.0), scale=(2.0, 4.0, 8.0)
    )
    files = [encode(picture, "PNG"), encode(picture.rotate(180), "BMP")]
    expected = [normalize(decode(file, target, ImageLimits()).pixels, target) for file in files]
    found = in_graph.prepare(tf.constant(files), target).numpy()
    assert found.shape == (2, 56, 64, 3)
    np.testing.assert_allclose(found, np.stack(expected), atol=0.51)


def test_what_is_no_picture_fails(tf):
    with pytest.raises(tf.errors.InvalidArgumentError):
        in_graph.prepare(tf.constant([b"no picture"]), Preprocessing(height=8, width=8))
