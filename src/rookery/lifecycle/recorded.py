"""Warms a model up with the requests it brings along."""

import logging
from pathlib import Path

import numpy as np

from rookery.errors import BackendFailed, ImageError, ModelInvalid
from rookery.models.warmup_requests import PredictRequest, Unusable, read_requests
from rookery.pipeline import Classifier

_log = logging.getLogger(__name__)


def run_recorded(path: Path, classifier: Classifier) -> int:
    """Run the requests recorded in *path*, where there is one; return how many ran.

    A tensor of the model's own type and shape is run as the batch it is, a tensor of strings as
    encoded images, one after the other. What cannot be run is left out with one warning: a good
    model serves, whatever it was recorded with.
    """
    if not path.exists():
        return 0
    ran = 0
    left_out: list[str] = []
    try:
        for number, request in enumerate(read_requests(path), start=1):
            reason = (
                request.reason
                if isinstance(request, Unusable)
                else _problem_of_running(request, classifier)
            )
            if reason is None:
                ran += 1
            else:
                left_out.append(f"request {number}: {reason}")
    except ModelInvalid as exc:
        _log.warning("warming up with the model's own requests ended early: %s", exc)
    if left_out:
        _log.warning(
            "%d of the requests in %s did not warm the model up; %s",
            len(left_out), path, left_out[0],
        )  # fmt: skip
    return ran


def _problem_of_running(request: PredictRequest, classifier: Classifier) -> str | None:
    if len(request.inputs) != 1:
        names = ", ".join(request.inputs) or "none"
        return f"it must have one input, an image batch; it has {names}"
    ((name, tensor),) = request.inputs.items()
    try:
        if tensor.dtype.hasobject:
            for image in tensor.ravel().tolist():
                classifier.classify(image)
            return None
        spec = classifier.model.signature.inputs[0]
        checks = (
            (request.signature != classifier.card.signature, f"is for {request.signature!r}"),
            (name != spec.name, f"has the input {name!r}, the model {spec.name!r}"),
            (tensor.dtype != np.float32, f"is {tensor.dtype}, the model takes float32"),
            (not tensor.size, f"is an empty batch, {tensor.shape}"),
        )
        for wrong, reason in checks:
            if wrong:
                return f"it {reason}"
        with classifier.turn():
            classifier.model(tensor.astype(np.float32, copy=False))
    except (ImageError, BackendFailed) as exc:
        return str(exc)
    return None
