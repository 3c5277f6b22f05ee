"""TensorFlow against OpenVINO at batch 1, taken in turns, on the same pixels."""

import subprocess
import sys
from statistics import median

from bare import bare_call, find
from http_overhead import photograph
from table import Row

ROUNDS = 60
TARGET = 1.8


def run() -> list[Row]:
    """Compare the zoo's two models; ResNet50's random weights cost what real ones do."""
    subprocess.run(
        (sys.executable, "-m", "rookery", "models", "pull", "resnet50", "--weights=random"),
        check=True,
        stdout=subprocess.DEVNULL,
    )
    # The target is the default model's. ResNet50's ratio follows the CPU: it is near 1.75 with
    # AVX2 and above 2 with AVX-512, and shown for what it is.
    return [_compare("efficientnet-lite0", TARGET), _compare("resnet50", None)]


def _compare(model: str, target: float | None) -> Row:
    image, version = photograph(), find(model)
    calls = {name: bare_call(version, name, image) for name in ("tensorflow", "openvino")}
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(ROUNDS):
        for name, call in calls.items():
            times[name].append(call())
    tensorflow, openvino = median(times["tensorflow"]), median(times["openvino"])
    return Row(
        f"OpenVINO, {model}, batch 1",
        f"{openvino:.1f} ms",
        f"TensorFlow {tensorflow:.1f} ms",
        f"{tensorflow / openvino:.2f}x",
        f">= {target}x" if target else "",
        tensorflow / openvino >= target if target else None,
    )
