"""The machine's limit: how fast it multiplies matrices, which is most of what a network does."""

from time import perf_counter

import numpy as np

SIDE = 2048
ROUNDS = 15


def sgemm_gflops() -> float:
    """Return the highest rate of single-precision multiplications and additions, in billions/s.

    numpy's BLAS on every CPU this process may use; the highest, not a median: it is a limit.
    """
    random = np.random.default_rng(0)
    left, right = (random.random((SIDE, SIDE), np.float32) for _ in range(2))
    product = np.empty_like(left)
    seconds = []
    for _ in range(ROUNDS):
        started = perf_counter()
        np.matmul(left, right, out=product)
        seconds.append(perf_counter() - started)
    return 2 * SIDE**3 / min(seconds) / 1e9
