"""HTTP image -> answer against the bare backend call on the same pixels, taken in turns."""

import http.client
import io
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter
from urllib.parse import urlsplit

from PIL import Image

from bare import bare_call, find
from processes import listening_url, rookery, wait_ready
from table import Row

ROUNDS = 200
WARM_UP = 10
TARGET_MS = 5.0


@dataclass(frozen=True)
class Serving:
    """A running `rookery serve classify`."""

    pid: int
    connection: http.client.HTTPConnection

    def ask(self, image: bytes) -> tuple[float, float]:
        """Post *image*; return the milliseconds to the whole answer, and those of decoding."""
        started = perf_counter()
        self.connection.request("POST", "/", image, {"Content-Type": "image/jpeg"})
        response = self.connection.getresponse()
        text = response.read()
        taken = (perf_counter() - started) * 1000
        if response.status != http.HTTPStatus.OK:
            raise SystemExit(f"bench: the function answers {response.status}: {text!r}")
        return taken, json.loads(text)["timings"]["decode_ms"]


@dataclass(frozen=True)
class Medians:
    """Milliseconds from a request to its answer, of the bare call, and of decoding."""

    http: float
    bare: float
    decode: float


def photograph(width: int = 500, height: int = 375) -> bytes:
    """A real photograph as a JPEG of that size."""
    with Image.open(Path("functions/classify/data/test2.jpg")) as image:
        encoded = io.BytesIO()
        image.resize((width, height)).save(encoded, "JPEG", quality=90)
    return encoded.getvalue()


@contextmanager
def serving(model: str, backend: str) -> Iterator[Serving]:
    """Serve *model*, ready and warm, until the block is left."""
    env = {"ROOKERY_MODEL": model, "ROOKERY_BACKEND": backend, "S3_ENABLED": "false"}
    with rookery("serve", "classify", "--host=127.0.0.1", "--port=0", **env) as process:
        url = listening_url(process)
        wait_ready(f"{url}/health/readiness")
        connection = http.client.HTTPConnection(urlsplit(url).netloc)
        try:
            yield Serving(process.pid, connection)
        finally:
            connection.close()


def in_turns(server: Serving, call: Callable[[], float], image: bytes, rounds: int) -> Medians:
    """Post *image* and make the bare *call*, so many times each."""
    http_ms, bare_ms, decode_ms = [], [], []
    for turn in range(rounds + WARM_UP):
        taken, decoding = server.ask(image)
        bare = call()
        if turn >= WARM_UP:
            http_ms.append(taken)
            bare_ms.append(bare)
            decode_ms.append(decoding)
    return Medians(median(http_ms), median(bare_ms), median(decode_ms))


def run() -> list[Row]:
    """Compare on both backends."""
    return [_compare(backend) for backend in ("openvino", "tensorflow")]


def _compare(backend: str) -> Row:
    image = photograph()
    call = bare_call(find("efficientnet-lite0"), backend, image)
    with serving("efficientnet-lite0", backend) as server:
        medians = in_turns(server, call, image, ROUNDS)
    overhead = medians.http - medians.decode - medians.bare
    return Row(
        f"HTTP image -> answer, {backend}",
        f"{medians.http:.1f} ms",
        f"bare {medians.bare:.1f} ms + decode {medians.decode:.1f} ms",
        f"{overhead:+.1f} ms",
        f"<= {TARGET_MS:.0f} ms",
        overhead <= TARGET_MS,
    )
