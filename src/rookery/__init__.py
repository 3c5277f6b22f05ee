"""Rookery: drop an image into a bucket, get an inference event out."""

from importlib import metadata

__all__ = ["__version__"]


def __getattr__(name: str) -> str:
    if name == "__version__":
        return metadata.version("rookery")
    raise AttributeError(f"module 'rookery' has no attribute {name!r}")
