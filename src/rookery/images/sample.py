"""A picture to warm up with: real work for the whole path, no file needed."""

import io

from PIL import Image


def sample_jpeg(width: int = 500, height: int = 375) -> bytes:
    """Encode a color gradient of *width* by *height* pixels as a JPEG."""
    red = Image.linear_gradient("L").resize((width, height))
    green = red.transpose(Image.Transpose.FLIP_TOP_BOTTOM)
    blue = Image.radial_gradient("L").resize((width, height))
    encoded = io.BytesIO()
    Image.merge("RGB", (red, green, blue)).save(encoded, "JPEG", quality=90)
    return encoded.getvalue()
