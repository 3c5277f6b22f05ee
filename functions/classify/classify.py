"""Classify images: what `rookery serve classify` and functions-framework both run."""

from pathlib import Path

from flask import Request
from werkzeug.wrappers import Response

from rookery.assemble import Function

function = Function("classify", folder=Path(__file__).parent)


def classify(request: Request) -> Response:
    """Answer one HTTP request: an image, a name, CloudEvents, or a probe."""
    return function.respond(request)
