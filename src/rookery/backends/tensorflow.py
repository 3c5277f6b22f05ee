"""The reference backend: TensorFlow runs the SavedModel's own signature."""

import logging
from pathlib import Path

from rookery.backends.options import Options
from rookery.backends.protocol import LoadedModel
from rookery.backends.savedmodel import import_tensorflow, open_savedmodel
from rookery.backends.signature import check_signature
from rookery.errors import ModelInvalid
from rookery.models.card import ModelCard

_log = logging.getLogger(__name__)


class TensorFlowBackend:
    """Loads SavedModels with TensorFlow, which is imported by the first load."""

    name = "tensorflow"

    def __init__(self, options: Options) -> None:
        """Run models as *options* say.

        TensorFlow has one thread pool per process: the first load fixes its size.
        """
        self._threads = options.threads

    def load(self, directory: Path, card: ModelCard) -> LoadedModel:
        """Load the SavedModel in *directory*.

        Raises:
            BackendMissing: TensorFlow is not installed.
            ModelInvalid: there is no SavedModel, it is damaged, or it does not fit *card*.
        """
        if card.format != "savedmodel":
            raise ModelInvalid(
                f"tensorflow reads SavedModels; {card.name}/{card.version} is {card.format!r}"
            )
        if self._threads is not None:
            _limit_threads(self._threads)
        model = open_savedmodel(directory, card.signature)
        check_signature(model.signature, directory, card)
        return model


def _limit_threads(threads: int) -> None:
    threading = import_tensorflow().config.threading
    if threading.get_intra_op_parallelism_threads() == threads:
        return
    try:
        threading.set_intra_op_parallelism_threads(threads)
        threading.set_inter_op_parallelism_threads(1)
    except RuntimeError:
        # Too late: an earlier load started the pool. Slower or greedier, but not wrong.
        _log.warning("TensorFlow already runs; its thread count stays as it is")
