"""The function's OpenAPI 3.1 document."""

from importlib import metadata
from typing import Final

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
                    "responses": _responses("The classification, or the result event.")
                    | {"202": {"description": "Accepted; results went to the sink, if any."}},
                },
            },
            "/health/liveness": {"get": _probe("Whether the process answers.", "liveness")},
            "/health/readiness": {
                "get": _probe("Whether the model is warm and the function not draining.", "ready")
            },
            "/metrics": {
                "get": {
                    "operationId": "metrics",
                    "responses": {"200": {"description": "Prometheus text exposition."}},
                }
            },
        },
        "components": {
            "schemas": {
                "Classification": _CLASSIFICATION,
                "ClassScore": _SCORE,
                "Error": _ERROR,
            }
        },
    }


def _responses(description: str) -> dict[str, object]:
    def answer(text: str, schema: str) -> dict[str, object]:
        reference = {"$ref": f"#/components/schemas/{schema}"}
        return {"description": text, "content": {"application/json": {"schema": reference}}}

    errors = {status: answer(text, "Error") for status, text in _ERRORS.items()}
    return {"200": answer(description, "Classification"), **errors}


def _probe(description: str, operation: str) -> dict[str, object]:
    return {
        "operationId": operation,
        "responses": {"200": {"description": description}, "503": {"description": "Not yet."}},
    }
