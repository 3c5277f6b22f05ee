"""Photographs that packages carry, and encoders for made-up pictures."""

from collections.abc import Callable
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rookery.images.limits import ImageLimits
from rookery.images.preprocessing import Preprocessing

SQUARE = Preprocessing(height=64, width=64)
LIMITS = ImageLimits()


def _package_file(package: str, path: str) -> bytes:
    spec = find_spec(package)
    assert spec is not None
    assert spec.origin is not None
    return (Path(spec.origin).parent / path).read_bytes()


@pytest.fixture(scope="session")
def grace_hopper() -> bytes:
    return _package_file("matplotlib", "mpl-data/sample_data/grace_hopper.jpg")


@pytest.fixture(scope="session")
def square() -> Preprocessing:
    return SQUARE


@pytest.fixture(scope="session")
def limits() -> ImageLimits:
    return LIMITS


@pytest.fixture(scope="session")
def encode() -> Callable[..., bytes]:
    def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
        stream = BytesIO()
        image.save(stream, kind, **options)
        return stream.getvalue()

    return encoded


@pytest.fixture(scope="session")
def quadrants() -> Image.Image:
    """80 x 40: red and green above, blue and white below; no two orientations look alike."""
    pixels = np.zeros((40, 80, 3), np.uint8)
    pixels[:20, :40] = 255, 0, 0
    pixels[:20, 40:] = 0, 255, 0
    pixels[20:, :40] = 0, 0, 255
    pixels[20:, 40:] = 255, 255, 255
    return Image.fromarray(pixels)
