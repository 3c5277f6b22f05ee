"""NNCF: post-training int8, without its progress bars, its log and its telemetry."""

import logging
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from rookery.backends.layout import is_planar, to_planar
from rookery.backends.openvino import import_openvino
from rookery.backends.protocol import TensorSpec
from rookery.errors import BackendMissing, QuantizationRefused
from rookery.models.card import ModelCard, ModelFormat
from rookery.models.formats import FILES, choose_format

if TYPE_CHECKING:
    import openvino

READ: Final[tuple[ModelFormat, ...]] = ("savedmodel", "onnx", "openvino", "frozen")
"""The formats that are taken, the best first."""


def import_nncf() -> ModuleType:
    """Import NNCF.

    Raises:
        BackendMissing: it, or OpenVINO, is not installed.
    """
    import_openvino()  # which sees to it that neither reports to anybody
    loggers = logging.getLoggerClass()
    try:
        import nncf  # noqa: PLC0415 - a heavy, optional library
    except ModuleNotFoundError as exc:
        if exc.name != "nncf":
            raise
        raise BackendMissing('NNCF is not installed; run: pip install "rookery[quantize]"') from exc
    finally:
        # It makes every later logger of the process one of its own class.
        logging.setLoggerClass(loggers)
    # Not nncf.set_log_level: it would also change handlers that are not its own.
    logging.getLogger("nncf").setLevel(logging.ERROR)
    module: ModuleType = nncf
    return module


def to_int8(
    directory: Path,
    card: ModelCard,
    images: Sequence[Path],
    read: Callable[[Path], NDArray[np.float32]],
    destination: Path,
) -> None:
    """Write the network of the version in *directory* to *destination*, in int8, for OpenVINO.

    *read* returns one of *images* as a batch of shape (1, height, width, 3); each is read several
    times, and one is held at a time.

    Raises:
        BackendMissing: NNCF or OpenVINO is not installed.
        QuantizationRefused: NNCF cannot do it.
    """
    nncf, library = import_nncf(), import_openvino()
    chosen = choose_format(card, directory, READ, "nncf")
    path = directory if chosen == "savedmodel" else directory / FILES[chosen]
    failures: tuple[type[Exception], ...] = (RuntimeError, ValueError, TypeError, *_errors(nncf))
    try:
        # Its progress bars are rich's, which are written to whatever is stdout at the time.
        with redirect_stdout(StringIO()):
            network = _read(library, path, chosen)
            planar = is_planar(_input(network), card)
            quantized = nncf.quantize(
                network,
                nncf.Dataset(images, (lambda image: to_planar(read(image))) if planar else read),
                subset_size=len(images),
                advanced_parameters=nncf.AdvancedQuantizationParameters(
                    # Weights of 7 bits. With 8, sums of two products overflow 16 bits on every CPU
                    # without VNNI, silently; and where a model will run, nobody knows here.
                    overflow_fix=nncf.OverflowFix.ENABLE
                ),
            )
            library.save_model(quantized, destination / FILES["openvino"], compress_to_fp16=False)
    except failures as exc:
        raise QuantizationRefused(
            f"NNCF cannot quantize {card.name}/{card.version}: {_first_line(exc)}"
        ) from exc


def _read(library: ModuleType, path: Path, chosen: ModelFormat) -> "openvino.Model":
    if chosen == "openvino":
        return library.Core().read_model(path)
    # Not read_model, which leaves batch norms beside their convolutions until it is compiled: NNCF
    # would round what stands in between, and cannot correct the bias.
    return library.convert_model(path)


def _input(network: "openvino.Model") -> TensorSpec:
    shape = network.inputs[0].get_partial_shape()
    sizes = (None if size.is_dynamic else size.get_length() for size in shape)
    return TensorSpec("image", "float32", tuple(sizes))


def _errors(nncf: ModuleType) -> tuple[type[Exception], ...]:
    """Return NNCF's own errors, which have no common base."""
    return tuple(
        error
        for error in vars(nncf.errors).values()
        if isinstance(error, type) and issubclass(error, Exception)
    )


def _first_line(exc: Exception) -> str:
    return str(exc).strip().partition("\n")[0] or type(exc).__name__
