"""The preprocessing of a model card in TensorFlow operations, to be saved with the network.

What `rookery.images` does with Pillow, within one grey level, but for what TensorFlow cannot do:
EXIF orientation is not applied, WebP is not decoded, and a palette in a BMP file is not looked up.
"""

from typing import TYPE_CHECKING, Final

from rookery.images.preprocessing import Preprocessing

if TYPE_CHECKING:
    from tensorflow import Tensor

_CHANNELS: Final = 3
_OPAQUE: Final = 255.0
_PNG: Final = b"\x89PNG"
_JPEG: Final = b"\xff\xd8\xff"
# Pillow's filters by the names of ScaleAndTranslate; both "bicubic" have a = -0.5.
_KERNELS: Final = {"bilinear": "triangle", "bicubic": "keyscubic", "lanczos": "lanczos3"}


def prepare(encoded: "Tensor", preprocessing: Preprocessing) -> "Tensor":
    """Return the images *encoded*, shape (batch,) strings, as the network's input.

    The result is float32 (batch, height, width, 3). What cannot be decoded fails the whole call.
    """
    import tensorflow as tf  # noqa: PLC0415 - takes seconds

    shape = (preprocessing.height, preprocessing.width, _CHANNELS)
    return tf.map_fn(
        lambda image: normalize(fit(decode(image), preprocessing), preprocessing),
        encoded,
        fn_output_signature=tf.TensorSpec(shape, tf.float32),
    )


def decode(encoded: "Tensor") -> "Tensor":
    """Return one image as uint8 (height, width, 3): its first frame, transparency on white."""
    import tensorflow as tf  # noqa: PLC0415 - takes seconds

    start = tf.strings.substr(encoded, 0, len(_PNG))
    pixels = tf.case(
        [
            (start == _PNG, lambda: _on_white(tf.io.decode_png(encoded, channels=4))),
            (
                tf.strings.substr(start, 0, len(_JPEG)) == _JPEG,
                # libjpeg's exact transform, as Pillow uses it.
                lambda: tf.io.decode_jpeg(encoded, channels=3, dct_method="INTEGER_ACCURATE"),
            ),
        ],
        default=lambda: tf.io.decode_image(encoded, channels=3, expand_animations=False),
    )
    return tf.ensure_shape(pixels, (None, None, _CHANNELS))


def fit(pixels: "Tensor", preprocessing: Preprocessing) -> "Tensor":
    """Return *pixels* cropped and resized: float32 (height, width, 3), whole numbers 0 to 255."""
    import tensorflow as tf  # noqa: PLC0415 - takes seconds

    size = tf.constant((preprocessing.height, preprocessing.width), tf.float64)
    there = tf.cast(tf.shape(pixels)[:2], tf.float64)
    if preprocessing.resize == "squash":
        box = there
    else:
        box = preprocessing.crop_fraction * tf.reduce_min(there / size) * size
        box = tf.minimum(box, there)
    corner = (there - box) / 2
    if preprocessing.interpolation == "nearest":
        rows, columns = (_nearest(corner[axis], box[axis], size[axis]) for axis in (0, 1))
        return tf.cast(tf.gather(tf.gather(pixels, rows), columns, axis=1), tf.float32)
    scale = tf.cast(size / box, tf.float32)
    offset = tf.cast(-corner * size / box, tf.float32)
    kernel = _KERNELS[preprocessing.interpolation]
    across = _resample(
        pixels,
        tf.stack([tf.shape(pixels)[0], preprocessing.width]),
        tf.stack([1.0, scale[1]]),
        tf.stack([0.0, offset[1]]),
        kernel,
    )
    # Rounded and clipped between the two directions, as Pillow does: that is not the same as
    # once at the end, where a cubic filter overshoots.
    return _resample(
        tf.cast(across, tf.uint8),
        tf.constant((preprocessing.height, preprocessing.width)),
        tf.stack([scale[0], 1.0]),
        tf.stack([offset[0], 0.0]),
        kernel,
    )


def normalize(pixels: "Tensor", preprocessing: Preprocessing) -> "Tensor":
    """Return RGB *pixels* in the network's color order and scale."""
    if preprocessing.color_order == "BGR":
        pixels = pixels[..., ::-1]
    return (pixels - preprocessing.mean) / preprocessing.scale


def _nearest(corner: "Tensor", length: "Tensor", count: "Tensor") -> "Tensor":
    """Return which of the rows from *corner* on, *length* long, each of *count* results takes."""
    import tensorflow as tf  # noqa: PLC0415 - takes seconds

    step = length / count
    # Added up, as Pillow does it: multiplied, every center that falls between two would differ.
    steps = tf.fill([tf.cast(count, tf.int32) - 1], step)
    return tf.cast(tf.cumsum(tf.concat([[corner + step * 0.5], steps], 0)), tf.int32)


def _resample(
    pixels: "Tensor", size: "Tensor", scale: "Tensor", offset: "Tensor", kernel: str
) -> "Tensor":
    import tensorflow as tf  # noqa: PLC0415 - takes seconds

    # The operation itself and not tf.image.resize: that one knows no crop between two pixels.
    resized = tf.raw_ops.ScaleAndTranslate(
        images=pixels[None],
        size=size,
        scale=scale,
        translation=offset,
        kernel_type=kernel,
        antialias=True,
    )[0]
    return tf.clip_by_value(tf.round(resized), 0.0, _OPAQUE)


def _on_white(pixels: "Tensor") -> "Tensor":
    """Composite RGBA on white; a picture without transparency is not copied to floats."""
    import tensorflow as tf  # noqa: PLC0415 - takes seconds

    colors, alpha = pixels[..., :3], pixels[..., 3:]

    def composite() -> "Tensor":
        share = tf.cast(alpha, tf.float32) / _OPAQUE
        mixed = tf.cast(colors, tf.float32) * share + _OPAQUE * (1 - share)
        return tf.cast(tf.round(mixed), tf.uint8)

    return tf.cond(tf.reduce_all(alpha == int(_OPAQUE)), lambda: colors, composite)
