"""Whatever the bytes, decoding gives an image or one of our errors."""

from contextlib import suppress
from io import BytesIO

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from rookery.errors import ImageError
from rookery.images.decode import decode
from rookery.images.limits import ImageLimits
from rookery.images.preprocessing import Preprocessing

TARGETS = (
    Preprocessing(height=16, width=16),
    Preprocessing(height=16, width=8, resize="center-crop", color_order="BGR"),
)
# Small, so that a mutated header cannot make one example slow.
LIMITS = ImageLimits(max_pixels=200_000)


def _encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    stream = BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def _valid_files() -> dict[str, bytes]:
    color = Image.effect_noise((24, 16), 90).convert("RGB")
    clear = color.copy()
    clear.putalpha(128)
    frames = {"save_all": True, "append_images": [color.rotate(180)]}
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010F] = "maker"
    deep = Image.fromarray(np.arange(384, dtype=np.uint16).reshape(16, 24) * 170)
    return {
        "baseline JPEG": _encoded(color, "JPEG", exif=exif, dpi=(72, 72)),
        "progressive JPEG": _encoded(color, "JPEG", progressive=True),
        "CMYK JPEG": _encoded(color.convert("CMYK"), "JPEG"),
        "MPO": _encoded(color, "MPO", **frames),
        "PNG": _encoded(color, "PNG", exif=exif, icc_profile=b"x" * 200),
        "palette PNG": _encoded(color.convert("P"), "PNG", transparency=3),
        "16-bit PNG": _encoded(deep, "PNG"),
        "1-bit PNG": _encoded(color.convert("1"), "PNG"),
        "animated PNG": _encoded(clear, "PNG", **frames),
        "lossy WebP": _encoded(color, "WEBP", exif=exif),
        "lossless WebP": _encoded(clear, "WEBP", lossless=True),
        "animated WebP": _encoded(color, "WEBP", **frames),
        "BMP": _encoded(color, "BMP"),
        "palette BMP": _encoded(color.convert("P"), "BMP"),
        "GIF": _encoded(color.convert("P"), "GIF", transparency=1),
        "animated GIF": _encoded(color, "GIF", **frames),
    }


FILES = _valid_files()


@st.composite
def mutated(draw: st.DrawFn, data: bytes) -> bytes:
    """*data* with some bytes changed, removed, repeated or cut off; headers more often."""
    result = bytearray(data)
    for _ in range(draw(st.integers(1, 6))):
        if not result:
            break
        reach = draw(st.sampled_from((min(64, len(result)), len(result))))
        at = draw(st.integers(0, reach - 1))
        match draw(st.sampled_from(("set", "remove", "repeat", "cut"))):
            case "set":
                replacement = draw(st.sampled_from((b"\0", b"\xff", b"\x7f\xff\xff\xff", None)))
                patch = replacement or draw(st.binary(min_size=1, max_size=8))
                result[at : at + len(patch)] = patch
            case "remove":
                del result[at : at + draw(st.integers(1, 32))]
            case "repeat":
                result[at:at] = result[at : at + draw(st.integers(1, 64))]
            case "cut":
                del result[max(at, 12) :]
    return bytes(result)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.filterwarnings("ignore")  # Pillow warns about damaged metadata it then ignores
@settings(max_examples=40, deadline=None)
@given(st.data())
def test_a_mutated_file_gives_an_image_or_an_image_error(name, data):
    content = data.draw(mutated(FILES[name]))
    target = data.draw(st.sampled_from(TARGETS))
    with suppress(ImageError):
        decoded = decode(content, target, LIMITS)
        assert decoded.pixels.shape == (target.height, target.width, 3)


@given(st.binary(max_size=300), st.sampled_from([data[:12] for data in FILES.values()]))
def test_any_bytes_behind_a_known_start_give_an_image_or_an_image_error(data, start):
    with suppress(ImageError):
        decode(start + data, TARGETS[0], LIMITS)
