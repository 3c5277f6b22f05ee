"""How TensorFlow computes in this process: it has one runtime, which the first load settles."""

import logging
from types import ModuleType

from rookery.backends.options import Options

_log = logging.getLogger(__name__)


def settle_runtime(tf: ModuleType, options: Options) -> None:
    """Give *tf* as many threads as *options* say, and of a GPU only the memory it needs.

    Once TensorFlow has computed anything this changes nothing and says so in the log.
    """
    _limit_threads(tf.config.threading, options.threads)
    for gpu in tf.config.list_physical_devices("GPU"):
        try:
            # Else it takes all there is of every GPU, whatever the model's size.
            tf.config.experimental.set_memory_growth(gpu, True)  # noqa: FBT003 - TensorFlow's own
        except RuntimeError:
            _log.warning("TensorFlow already runs; how it takes memory of %s stays", gpu.name)


def _limit_threads(threading: ModuleType, threads: int) -> None:
    if threading.get_intra_op_parallelism_threads() == threads:
        return
    try:
        threading.set_intra_op_parallelism_threads(threads)
        # One operation after the other, each on all threads: two pools would be twice as many.
        threading.set_inter_op_parallelism_threads(1)
    except RuntimeError:
        # Too late: an earlier load started the pool. Slower or greedier, but not wrong.
        _log.warning("TensorFlow already runs; its thread count stays as it is")
