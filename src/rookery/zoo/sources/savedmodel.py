"""A SavedModel folder of the user's: kept as it is where every backend can read it."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from rookery.backends.freezing import freeze
from rookery.backends.frozen_graph import run_graph
from rookery.backends.savedmodel import SavedFunction, import_tensorflow, open_savedmodel
from rookery.errors import BackendFailed, ModelInvalid
from rookery.models.card import ModelCard
from rookery.models.formats import FILES
from rookery.zoo.export import SIGNATURE, export_function
from rookery.zoo.sources.operations import check_saved_operations
from rookery.zoo.sources.source import Choices
from rookery.zoo.sources.tensorflow_source import TensorFlowSource, scores, write_frozen

if TYPE_CHECKING:
    from tensorflow.core.protobuf.meta_graph_pb2 import SignatureDef

_FILE: Final = FILES["savedmodel"]
# What a SavedModel consists of; the folder may hold anything else besides.
_PARTS: Final = (_FILE, "fingerprint.pb", "variables", "assets", "assets.extra")
_IMAGE_RANK: Final = 4
_SAMPLE: Final = (1, 224, 224, 3)  # where a model takes any size


class SavedModelSource(TensorFlowSource):
    """One signature of a SavedModel."""

    def __init__(self, path: Path, choices: Choices) -> None:
        """Load the SavedModel in the folder *path*.

        Raises:
            ModelInvalid: it is none, is damaged, or the signature is to be chosen.
        """
        self._path = path
        _check_links(path)
        there = _image_signatures(path)
        self._name = choices.signature or (there[0] if there else SIGNATURE)
        function = open_savedmodel(path, self._name)
        if choices.signature is None and not _same(path, function, there[1:]):
            raise ModelInvalid(
                f"{path} has {len(there)} signatures that take images; choose one with "
                f"--signature: {', '.join(there)}"
            )
        super().__init__(function, [])

    def write(self, directory: Path, card: ModelCard) -> ModelCard:
        """Copy the SavedModel; one with another signature is written anew with ours."""
        if self._name == SIGNATURE:
            for part in _PARTS:
                _copy(self._path / part, directory / part)
            frozen = write_frozen(self._function, directory, card)
            return replace(card, format="savedmodel", other_formats=("frozen",) if frozen else ())
        # OpenVINO looks for one signature only, so the chosen one becomes that one.
        shape = self.signature.inputs[0].shape
        size = (shape[0], card.input.height, card.input.width, 3)
        graph = freeze(lambda image: scores(self._function, image, card), size, card.output)
        constant = run_graph(graph, card.output, str(self._path))
        export_function(
            lambda image: scores(constant, image, card),
            [],
            directory,
            card.input,
            output=card.output,
        )
        _copy(self._path / "assets.extra", directory / "assets.extra")
        return replace(card, format="savedmodel", other_formats=("frozen",))


def _check_links(path: Path) -> None:
    """Refuse links out of the folder *path*: what they lead to would be published."""
    root = path.resolve()
    for part in _PARTS:
        for entry in (path / part, *(path / part).rglob("*")):
            if entry.is_symlink() and not entry.resolve().is_relative_to(root):
                raise ModelInvalid(
                    f"{entry} is a link that leads out of the SavedModel; make a copy without "
                    f"links, and import that: cp -rL {path} COPY"
                )


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target)
    elif source.is_file():
        shutil.copyfile(source, target)


def _image_signatures(path: Path) -> list[str]:
    """Return the signatures that take images, having looked at the graph before it is loaded.

    Raises:
        ModelInvalid: there is no graph, it is damaged, or has operations that cannot be run.
    """
    import_tensorflow()
    from google.protobuf.message import DecodeError  # noqa: PLC0415 - comes with TensorFlow
    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel  # noqa: PLC0415

    file = path / _FILE
    if not file.is_file():
        raise ModelInvalid(f"{path} holds no SavedModel: no {_FILE} is in it")
    try:
        model = SavedModel.FromString(file.read_bytes())
    except (OSError, DecodeError) as exc:
        raise ModelInvalid(
            f"{file} cannot be read as a SavedModel: {exc}; it is damaged, export it again"
        ) from exc
    if not model.meta_graphs:
        raise ModelInvalid(f"{file} is empty; export the model again")
    found: dict[str, SignatureDef] = {}
    for graph in model.meta_graphs:
        check_saved_operations(graph, str(path))
        found |= graph.signature_def
    images = [name for name in sorted(found) if _takes_images(found[name])]
    return sorted(images, key=lambda name: name != SIGNATURE)


def _same(path: Path, function: SavedFunction, others: list[str]) -> bool:
    """Whether *others* give what *function* does: Keras exports a model under two names."""
    if not others:
        return True
    shape = function.signature.inputs[0].shape
    sizes = [size or usual for size, usual in zip(shape, _SAMPLE, strict=True)]
    batch = np.random.default_rng(0).uniform(0, 1, sizes).astype(np.float32)
    for name in others:
        other = open_savedmodel(path, name)
        if other.signature.outputs != function.signature.outputs:
            return False
        try:
            one, two = function(batch), other(batch)
        except BackendFailed:
            return False
        if not all(np.allclose(one[output], two[output], atol=1e-5) for output in one):
            return False
    return True


def _takes_images(signature: "SignatureDef") -> bool:
    from tensorflow.core.framework.types_pb2 import DT_FLOAT  # noqa: PLC0415 - takes seconds

    if len(signature.inputs) != 1:
        return False
    (spec,) = signature.inputs.values()
    return spec.dtype == DT_FLOAT and len(spec.tensor_shape.dim) == _IMAGE_RANK
