"""HTTP image -> answer against the bare backend call on the same pixels, taken in turns."""

import http.client
import io
import json
from pathlib import Path
from statistics import median
from time import perf_counter
from urllib.parse import urlsplit

from PIL import Image

from bare import bare_call, find
from processes import listening_url, rookery, wait_ready
from table import Row

ROUNDS = 200
TARGET_MS = 5.0


def photograph() -> bytes:
    """A real photograph as a 500x375 JPEG."""
    with Image.open(Path("functions/classify/data/test2.jpg")) as image:
        encoded = io.BytesIO()
        image.resize((500, 375)).save(encoded, "JPEG", quality=90)
    return encoded.getvalue()


def run() -> list[Row]:
    """Compare on both backends."""
    return [_compare(backend) for backend in ("openvino", "tensorflow")]


def _compare(backend: str) -> Row:
    image = photograph()
    call = bare_call(find("efficientnet-lite0"), backend, image)
    env = {"ROOKERY_BACKEND": backend, "S3_ENABLED": "false"}
    with rookery("serve", "classify", "--host=127.0.0.1", "--port=0", **env) as process:
        url = listening_url(process)
        wait_ready(f"{url}/health/readiness")
        connection = http.client.HTTPConnection(urlsplit(url).netloc)
        http_ms, bare_ms, decode_ms = [], [], []
        for turn in range(ROUNDS + 10):
            started = perf_counter()
            connection.request("POST", "/", image, {"Content-Type": "image/jpeg"})
            answer = json.loads(connection.getresponse().read())
            taken = (perf_counter() - started) * 1000
            bare = call()
            if turn >= 10:
                http_ms.append(taken)
                bare_ms.append(bare)
                decode_ms.append(answer["timings"]["decode_ms"])
        connection.close()
    overhead = median(http_ms) - median(decode_ms) - median(bare_ms)
    return Row(
        f"HTTP image -> answer, {backend}",
        f"{median(http_ms):.1f} ms",
        f"bare {median(bare_ms):.1f} ms + decode {median(decode_ms):.1f} ms",
        f"{overhead:+.1f} ms",
        f"<= {TARGET_MS:.0f} ms",
        overhead <= TARGET_MS,
    )
