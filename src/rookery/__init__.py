"""Rookery: drop an image into a bucket, get an inference event out."""

TYPE_CHECKING = False  # type checkers know the name; importing typing would be the longer part
if TYPE_CHECKING:
    from rookery.notebook.loading import load_model

    __version__: str

__all__ = ["__version__", "load_model"]


def __getattr__(name: str) -> object:
    if name == "__version__":
        from importlib import metadata  # noqa: PLC0415 - costs more than waking a snapshot may

        return metadata.version("rookery")
    if name == "load_model":
        from rookery.notebook.loading import load_model as loaded  # noqa: PLC0415 - likewise

        return loaded
    raise AttributeError(f"module 'rookery' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
