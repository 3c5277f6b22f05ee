"""A model of the catalog to a version in the repository."""

import logging
from dataclasses import replace
from pathlib import Path
from typing import Final, Literal

from rookery.backends.savedmodel import import_tensorflow
from rookery.errors import DownloadUnavailable, ModelInvalid, ModelNotFound
from rookery.images.preprocessing import Preprocessing
from rookery.models.card import ModelCard
from rookery.models.formats import formats
from rookery.models.integrity import sha256_of, verify
from rookery.models.labels import LABELS_FILE, write_labels
from rookery.models.repository import ModelVersion, Repository
from rookery.zoo.catalog import OUTPUT, ZOO, Network, ZooModel
from rookery.zoo.download import Progress, fetch, silent
from rookery.zoo.export import export
from rookery.zoo.imagenet import imagenet_labels
from rookery.zoo.random_weights import randomize

_log = logging.getLogger(__name__)

_NEVER: Final = 24 * 3600  # seconds: trying again helps nobody

Weights = Literal["published", "random"]


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

    It is made when the newest version in *repository* has other weights or formats, or is damaged.
    *file* replaces the published weights; *downloads* is where downloaded files stay.

    Raises:
        ModelNotFound: the zoo has no such model.
        DownloadUnavailable: the weights cannot be downloaded now.
        ModelInvalid: the weights are damaged or another network's.
    """
    model = ZOO.get(name)
    if model is None:
        raise ModelNotFound(f"there is no model {name!r} to pull; there is {', '.join(ZOO)}")
    if model.network is None and file is not None:
        raise ModelInvalid(f"{name} has no weights; leave out --file")
    card = _card(model, weights, file)
    try:
        newest = repository.find(name)
        verify(newest.directory, newest.card)
    except ModelNotFound:
        pass
    except ModelInvalid as exc:
        _log.warning("%s; making the next version", exc)
    else:
        # One made by an older Rookery lacks formats that backends of this one read.
        if (newest.card.source, formats(newest.card)) == (card.source, formats(card)):
            return newest, False
    network = model.network
    if network is None:
        return repository.publish(card, _write_labels), True
    path = file
    if path is None and weights == "published":
        path = _locate(model, network, downloads, progress)

    def build(directory: Path) -> None:
        _build(network, path, card.input, directory)

    return repository.publish(card, build), True


def _card(model: ZooModel, weights: Weights, file: Path | None) -> ModelCard:
    """Return the card of *model* with these weights; it claims no accuracy that nobody measured."""
    if file is not None:
        remote = None if model.network is None else model.network.remote
        try:
            if remote is not None and remote.checksum.of(file) == remote.checksum.hexdigest:
                return model.card
            source = f"the file {file.name}, sha256 {sha256_of(file)}"
        except OSError as exc:
            raise ModelInvalid(f"{file} cannot be read: {exc.strerror or exc}") from exc
        return replace(model.card, source=source, license="NOASSERTION", top_1=None)
    if weights == "random":
        source = "random weights: it has learned nothing, its answers mean nothing"
        return replace(model.card, source=source, top_1=None)
    return model.card


def _locate(model: ZooModel, network: Network, downloads: Path, progress: Progress) -> Path:
    """Return the file of published weights, downloaded where no package brings it."""
    if network.installed is not None:
        return network.installed()
    if network.remote is not None:
        return fetch(network.remote, downloads, progress)
    raise DownloadUnavailable(
        f"the weights of {model.card.name} are published without a checksum, so they are not "
        f"downloaded: fetch them yourself and give the file with --file ({model.card.source})",
        retry_after=_NEVER,
    )


def _build(
    network: Network, weights: Path | None, preprocessing: Preprocessing, directory: Path
) -> None:
    import_tensorflow()  # before Keras does it, loudly
    model = network.build()
    if weights is None:
        randomize(model, preprocessing)
    else:
        network.load_weights(model, weights)
    export(model, directory, preprocessing, output=OUTPUT)
    _write_labels(directory)


def _write_labels(directory: Path) -> None:
    write_labels(directory / LABELS_FILE, imagenet_labels())
