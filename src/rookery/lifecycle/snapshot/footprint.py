"""Make a process small before its snapshot: what is not in it need not be read again."""

import ctypes
import gc
import logging
from pathlib import Path

_log = logging.getLogger(__name__)


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
