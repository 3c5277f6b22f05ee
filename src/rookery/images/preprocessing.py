"""How a model wants its pixels: data that travels with the weights."""

from dataclasses import dataclass
from typing import Literal

ResizeMode = Literal["squash", "center-crop"]
Interpolation = Literal["nearest", "bilinear", "bicubic", "lanczos"]
ColorOrder = Literal["RGB", "BGR"]


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """The one description of a model's input, read by training, conversion and serving alike.

    A pixel value p in 0..255 of channel c becomes ``(p - mean[c]) / scale[c]`` as float32.

    Attributes:
        height: input height in pixels.
        width: input width in pixels.
        resize: `squash` ignores the aspect ratio; `center-crop` keeps it and crops the middle.
        crop_fraction: for `center-crop`, the side of the crop over the shorter side, 0 < f <= 1.
        interpolation: the resampling filter.
        color_order: the order of the last axis.
        mean: subtracted from each channel, in pixel units.
        scale: divides each channel after that, in pixel units; never 0.
    """

    height: int
    width: int
    resize: ResizeMode = "squash"
    crop_fraction: float = 1.0
    interpolation: Interpolation = "bicubic"
    color_order: ColorOrder = "RGB"
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    scale: tuple[float, float, float] = (1.0, 1.0, 1.0)
