"""What glibc's heap is like at a snapshot: small, and without blocks that are mapped alone.

What is not in a snapshot need not be read again. A block with a mapping of its own grows by growing
that, with mremap(2); in a clone, where it is mapped from the snapshot's file, it would grow into
what lies behind it in that file, and beyond its end.
"""

import ctypes
import gc
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Final

_log = logging.getLogger(__name__)

MMAP_MAX: Final = "MALLOC_MMAP_MAX_"
"""The variable that, set to 0, keeps glibc from mapping large blocks alone; mallopt(3)."""

# Parameters of mallopt(3), by the variables that set them as well. glibc raises both thresholds to
# this when a program frees large blocks, but not where any of the three has been set.
_THRESHOLDS: Final = {
    "MALLOC_MMAP_THRESHOLD_": (-3, 32 << 20),
    "MALLOC_TRIM_THRESHOLD_": (-1, 64 << 20),
}
_MOST_MAPPINGS: Final = (-4, 65_536)  # glibc's default


def shrink() -> None:
    """Collect garbage, keep the collector off what is left, and give free heap back."""
    before = _anonymous_bytes()
    gc.collect()
    # A clone's first collection would otherwise write to, and so copy, every shared page.
    gc.freeze()
    _trim_heap()
    after = _anonymous_bytes()
    if before is not None and after is not None:
        _log.info("shrunk from %d to %d MB", before >> 20, after >> 20)


def map_large_blocks(environ: Mapping[str, str]) -> None:
    """Let glibc map large blocks again, in a clone of a process that was kept from it.

    Args:
        environ: what that process was started with.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None or environ.get(MMAP_MAX) != "0":  # musl has none
        return
    for variable, (parameter, value) in _THRESHOLDS.items():
        if variable not in environ:
            mallopt(parameter, value)
    mallopt(*_MOST_MAPPINGS)


def _trim_heap() -> None:
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:  # musl has none
        trim(0)


def _anonymous_bytes() -> int | None:
    """Return what of this process is in memory and in no file; None where /proc does not say."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return None
    sizes = (line.split()[1] for line in lines if line.startswith("RssAnon:"))
    return next((int(size) * 1024 for size in sizes), None)
