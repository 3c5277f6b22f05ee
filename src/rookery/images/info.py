"""What an image is, for people and events: plain values, no decoder."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ImageInfo:
    """What the sender's image is: its format, and its size in pixels as it is meant to be seen."""

    format: str
    width: int
    height: int
