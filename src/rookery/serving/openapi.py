"""The function's OpenAPI 3.1 document."""

from importlib import metadata
from typing import Final, TypedDict

from rookery.serving.health_paths import LIVENESS, READINESS


class _Answer(TypedDict):
    description: str
    content: dict[str, object]


_SCORE: Final[dict[str, object]] = {
    "type": "object",
    "required": ["label", "index", "probability"],
    "properties": {
        "label": {"type": "string", "examples": ["military uniform"]},
        "index": {"type": "integer", "minimum": 0},
        "probability": {"type": "number", "minimum": 0, "maximum": 1},
    },
}
_CLASSIFICATION: Final[dict[str, object]] = {
    "type": "object",
    "required": ["top_prediction", "predictions", "model", "image", "timings"],
    "properties": {
        "top_prediction": {
            "type": "array",
            "items": {"type": "array", "items": {"type": "string"}},
            "examples": [[["king penguin, Aptenodytes patagonica"]]],
        },
        "predictions": {"type": "array", "items": {"$ref": "#/components/schemas/ClassScore"}},
        "model": {
            "type": "object",
            "properties": {
                "name": {"type": "string"},
                "version": {"type": "string"},
                "backend": {"type": "string"},
            },
        },
        "image": {
            "type": "object",
            "properties": {
                "format": {"type": "string"},
                "width": {"type": "integer"},
                "height": {"type": "integer"},
            },
        },
        "timings": {
            "type": "object",
            "description": "Milliseconds.",
            "additionalProperties": {"type": "number", "minimum": 0},
        },
    },
}
_ERROR: Final[dict[str, object]] = {
    "type": "object",
    "required": ["error", "message"],
    "properties": {
        "error": {"type": "string", "description": "Stable name of what went wrong."},
        "message": {"type": "string", "description": "What was wrong, and what to do."},
    },
}
_LIVENESS: Final[dict[str, object]] = {
    "type": "object",
    "required": ["live"],
    "properties": {"live": {"const": True}},
}
_READINESS: Final[dict[str, object]] = {
    "type": "object",
    "required": ["ready", "state"],
    "properties": {
        "ready": {"type": "boolean"},
        "state": {"enum": ["cold", "loading", "ready", "failed", "draining"]},
        "error": {"type": "string", "description": "Why the function failed to start."},
        "message": {"type": "string"},
    },
}
_ERRORS: Final[dict[str, str]] = {
    "400": "Malformed request or event: final.",
    "403": "The event names a bucket that is not configured: final.",
    "410": "The object no longer exists: final.",
    "413": "The body is longer than the limit: final.",
    "415": "Content type or image format not supported: final.",
    "422": "The bytes cannot be used as an image: final.",
    "424": "The sink refused the result: final.",
    "429": "The queue is full: retry after Retry-After seconds.",
    "500": "The function failed: retry.",
    "503": "Storage, sink or model unavailable: retry after Retry-After seconds.",
}


def openapi_document(name: str, *, max_body_bytes: int) -> dict[str, object]:
    """Describe the HTTP interface of function *name*."""
    binary = {"schema": {"type": "string", "format": "binary", "maxLength": max_body_bytes}}
    event = {"schema": {"type": "object"}}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": f"Rookery function {name}",
            "version": metadata.version("rookery"),
            "description": "Classifies images: posted, named, or announced by CloudEvents.",
        },
        "paths": {
            "/": {
                "get": {
                    "operationId": "classifyNamedImage",
                    "summary": "Classify an image of the data folder.",
                    "parameters": [
                        {
                            "name": "imageName",
                            "in": "query",
                            "description": "File name with or without suffix; the default image "
                            "answers when it is absent or unknown.",
                            "schema": {"type": "string"},
                        }
                    ],
                    "responses": _responses("The classification."),
                },
                "post": {
                    "operationId": "classifyImageOrEvents",
                    "summary": "Classify the posted image, or the objects the events announce.",
                    "requestBody": {
                        "required": True,
                        "content": {
                            "image/*": binary,
                            "application/octet-stream": binary,
                            "multipart/form-data": {
                                "schema": {
                                    "type": "object",
                                    "properties": {"image": {"type": "string", "format": "binary"}},
                                }
                            },
                            "application/cloudevents+json": event,
                            "application/cloudevents-batch+json": {
                                "schema": {"type": "array", "items": {"type": "object"}}
                            },
                            "application/json": event,
                        },
                    },
                    "responses": _responses(
                        "The classification; or the result event in binary mode, whose data it is "
                        "with the object beside it; or a batch of result events.",
                        batch=True,
                    )
                    | {"202": {"description": "Accepted; results went to the sink, if any."}},
                },
            },
            **{path: {"get": _liveness(path)} for path in LIVENESS},
            **{path: {"get": _readiness(path)} for path in READINESS},
            "/metrics": {
                "get": {
                    "operationId": "metrics",
                    "responses": {
                        "200": {
                            "description": "Prometheus text exposition.",
                            "content": {"text/plain": {"schema": {"type": "string"}}},
                        }
                    },
                }
            },
            "/openapi.json": {
                "get": {
                    "operationId": "openapi",
                    "responses": {"200": _json("This document.", {"type": "object"})},
                }
            },
        },
        "components": {
            "schemas": {
                "Classification": _CLASSIFICATION,
                "ClassScore": _SCORE,
                "Error": _ERROR,
                "Liveness": _LIVENESS,
                "Readiness": _READINESS,
            }
        },
    }


def _responses(description: str, *, batch: bool = False) -> dict[str, object]:
    answer = _json(description, _reference("Classification"))
    if batch:
        events = {"type": "array", "items": {"type": "object"}}
        answer["content"] |= {"application/cloudevents-batch+json": {"schema": events}}
    errors = {status: _json(text, _reference("Error")) for status, text in _ERRORS.items()}
    return {"200": answer, **errors, "default": _json("Any other refusal.", _reference("Error"))}


def _liveness(path: str) -> dict[str, object]:
    answer = _json("The process answers.", _reference("Liveness"))
    return {"operationId": f"live{_words(path)}", "responses": {"200": answer}}


def _readiness(path: str) -> dict[str, object]:
    return {
        "operationId": f"ready{_words(path)}",
        "responses": {
            "200": _json("The model is warm.", _reference("Readiness")),
            "503": _json("Loading, failed or draining.", _reference("Readiness")),
        },
    }


def _json(description: str, schema: dict[str, object]) -> _Answer:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _reference(schema: str) -> dict[str, object]:
    return {"$ref": f"#/components/schemas/{schema}"}


def _words(path: str) -> str:
    return "".join(word.capitalize() for word in path.split("/"))
