"""From an encoded photograph to the answer over HTTP, beside the bare call on its pixels."""

import io
from dataclasses import dataclass
from statistics import median
from time import perf_counter

from PIL import Image

from bare import bare_call, find
from http_overhead import ROUNDS, Medians, in_turns, photograph, serving
from images import mosaic
from memory import extra_peak
from table import Row

SMALL = (500, 375)
LARGE = (6000, 8000)
LARGE_ROUNDS = 20
SMALL_TARGET = 1.15
DECODE_TARGET = 1.3
MEMORY_TARGET_MB = 150
_DCT_SCALE = 8


@dataclass(frozen=True)
class WholePath:
    """A model on a backend behind HTTP.

    Attributes:
        small: a photograph of SMALL pixels.
        large: one of LARGE pixels.
        scaled_decode_ms: what libjpeg-turbo takes for the large one at an eighth of its size.
        extra_bytes: the most memory the server needed for the large one, beyond what it had.
    """

    model: str
    backend: str
    small: Medians
    large: Medians
    scaled_decode_ms: float
    extra_bytes: int

    @property
    def rows(self) -> list[Row]:
        """The comparisons as rows."""
        what = f"{self.model} on {self.backend}"
        small, large = self.small, self.large
        allowed = large.bare + DECODE_TARGET * self.scaled_decode_ms
        extra = self.extra_bytes / 1e6
        return [
            Row(
                f"HTTP, {SMALL[0]}x{SMALL[1]} JPEG, {what}",
                f"{small.http:.1f} ms",
                f"bare {small.bare:.1f} ms; decoding {small.decode:.1f} ms of it",
                f"{small.http / small.bare:.2f}x",
                f"<= {SMALL_TARGET}x",
                small.http <= SMALL_TARGET * small.bare,
            ),
            Row(
                f"HTTP, {LARGE[0]}x{LARGE[1]} JPEG, {what}",
                f"{large.http:.1f} ms",
                f"bare {large.bare:.1f} ms; libjpeg-turbo at 1/8 {self.scaled_decode_ms:.1f} ms",
                f"bare + {(large.http - large.bare) / self.scaled_decode_ms:.2f}x",
                f"<= bare + {DECODE_TARGET}x",
                large.http <= allowed,
            ),
            Row(
                f"memory for a {LARGE[0]}x{LARGE[1]} JPEG, {what}",
                f"{extra:.0f} MB",
                "the most at once, beyond the warm server's",
                "",
                f"<= {MEMORY_TARGET_MB} MB",
                extra <= MEMORY_TARGET_MB,
            ),
        ]


def measure(model: str, backend: str) -> WholePath:
    """Serve *model* on *backend* and ask."""
    small, large = photograph(*SMALL), mosaic(*LARGE)
    call = bare_call(find(model), backend, small)
    with serving(model, backend) as server:
        small_medians = in_turns(server, call, small, ROUNDS)
        # The first large one: what is allocated for it stays, and later ones find it there.
        extra = extra_peak(server.pid, lambda: server.ask(large))
        decoding = []

        def call_and_decode() -> float:
            decoding.append(_scaled_decode_ms(large))
            return call()

        large_medians = in_turns(server, call_and_decode, large, LARGE_ROUNDS)
    return WholePath(model, backend, small_medians, large_medians, median(decoding), extra)


def _scaled_decode_ms(jpeg: bytes) -> float:
    """Return how long libjpeg-turbo, which Pillow brings, decodes at an eighth of the size."""
    started = perf_counter()
    with Image.open(io.BytesIO(jpeg)) as image:
        image.draft("RGB", (LARGE[0] // _DCT_SCALE, LARGE[1] // _DCT_SCALE))
        image.load()
    return (perf_counter() - started) * 1000
