"""The old way to ask a model: the client decodes, and posts its pixels as numbers in JSON.

A small server in a process of its own takes `{"instances": [[[r, g, b], ...]]}` as TensorFlow
Serving's and KServe's REST protocols do, brings it to the model's size and answers all scores.
Run as a program, this module is that server: MODEL BACKEND.
"""

import http.client
import io
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median
from time import perf_counter
from urllib.parse import urlsplit

import numpy as np
from flask import Flask, request
from PIL import Image
from waitress import create_server

from bare import find
from http_overhead import Serving, serving
from memory import extra_peak
from processes import listening_url
from rookery.backends.registry import create_backend
from rookery.images.normalize import normalize

JPEG_ROUNDS = 20


@dataclass(frozen=True)
class Asked:
    """One picture that was sent as numbers.

    Attributes:
        width, height: of the picture, in pixels.
        milliseconds: from the JPEG in the client's memory to the scores there.
        jpeg_ms: from there to the answer of a function to which the JPEG itself is sent.
        body_bytes: how long the request was.
        extra_bytes: the most memory the server needed for it.
    """

    width: int
    height: int
    milliseconds: float
    jpeg_ms: float
    body_bytes: int
    extra_bytes: int


def ask(model: str, backend: str, images: list[bytes], rounds: int) -> list[Asked]:
    """Ask about each of *images*, JPEGs, so many times as numbers, and more often as a file."""
    with _serving(model, backend) as (pid, connection), serving(model, backend) as function:
        return [_ask(pid, connection, function, image, rounds) for image in images]


def _ask(
    pid: int,
    connection: http.client.HTTPConnection,
    function: Serving,
    image: bytes,
    rounds: int,
) -> Asked:
    taken: list[float] = []
    bodies: list[bytes] = []

    def once() -> None:
        started = perf_counter()
        pixels = np.asarray(Image.open(io.BytesIO(image)))
        body = json.dumps({"instances": [pixels.tolist()]}).encode()
        connection.request("POST", "/", body, {"Content-Type": "application/json"})
        response = connection.getresponse()
        scores = json.loads(response.read())["predictions"]
        taken.append((perf_counter() - started) * 1000)
        assert len(scores) == 1
        bodies[:] = [body]

    extra = extra_peak(pid, once)
    for _ in range(rounds - 1):
        once()
    width, height = Image.open(io.BytesIO(image)).size
    as_jpeg = median(function.ask(image)[0] for _ in range(JPEG_ROUNDS))
    return Asked(width, height, median(taken), as_jpeg, len(bodies[0]), extra)


@contextmanager
def _serving(model: str, backend: str) -> Iterator[tuple[int, http.client.HTTPConnection]]:
    command = (sys.executable, __file__, model, backend)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            connection = http.client.HTTPConnection(urlsplit(listening_url(process)).netloc)
            yield process.pid, connection
            connection.close()
        finally:
            process.terminate()


def _serve(model: str, backend: str) -> None:
    version = find(model)
    loaded = create_backend(backend).load(version.directory, version.card)
    wanted = version.card.input
    app = Flask(__name__)

    @app.post("/")
    def predict() -> dict[str, object]:
        instances = np.array(request.get_json()["instances"], np.uint8)
        resized = [
            np.asarray(Image.fromarray(pixels).resize((wanted.width, wanted.height)))
            for pixels in instances
        ]
        batch = np.stack([normalize(pixels, wanted) for pixels in resized])
        return {"predictions": loaded(batch)[version.card.output].tolist()}

    loaded(np.zeros((1, wanted.height, wanted.width, 3), np.float32))
    limits = {"max_request_body_size": 4 * 1024**3}
    server = create_server(app, host="127.0.0.1", port=0, threads=2, **limits)
    print(f"json_tensors listening on http://127.0.0.1:{server.effective_port}", flush=True)
    server.run()


if __name__ == "__main__":
    _serve(*sys.argv[1:])
