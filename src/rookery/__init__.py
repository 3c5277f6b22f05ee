"""Rookery: drop an image into a bucket, get an inference event out."""

__all__ = ["__version__"]


def __getattr__(name: str) -> str:
    if name == "__version__":
        from importlib import metadata  # noqa: PLC0415 - costs more than waking a snapshot may

        return metadata.version("rookery")
    raise AttributeError(f"module 'rookery' has no attribute {name!r}")
