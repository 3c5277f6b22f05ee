"""Makes the C library forget the random bytes it has in stock: clones would all draw the same.

Since glibc 2.41 `getrandom()`, and with it all that draws from the kernel, is a function of the
vDSO with a state in memory that the kernel may drop at any time, and drops in a child process. CRIU
dumps that memory as any other, and restores it without these flags: clones would draw alike, and so
would each clone and its children.
"""

import ctypes
import mmap
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from rookery.errors import SnapshotFailed

_MAP_FIXED: Final = 0x10
_MAP_DROPPABLE: Final = 0x08  # Linux 6.11; it brings MADV_WIPEONFORK along
_FAILED: Final = ctypes.c_void_p(-1).value
_DROPPABLE: Final = "dp"  # proc_pid_smaps(5), of areas that were mapped so

Area = tuple[int, int]
"""The first address of an area, and the one behind its last."""


def forget() -> list[Area]:
    """Empty all memory of this process that the kernel may drop, and return where it is.

    A restored process has the same areas, which it has to `renew`.

    Raises:
        SnapshotFailed: the kernel will not.
    """
    try:
        smaps = Path("/proc/self/smaps").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []  # nor are there areas of this kind: kernels that have them say so there
    areas = droppable(smaps)
    renew(areas)
    return areas


def renew(areas: Iterable[Area]) -> None:
    """Make *areas* of this process zeros that the kernel may drop; the next draw fills them anew.

    Raises:
        SnapshotFailed: the kernel will not.
    """
    library = ctypes.CDLL(None, use_errno=True)
    library.mmap.restype = ctypes.c_void_p
    protection = mmap.PROT_READ | mmap.PROT_WRITE
    # Over what is there, and not MADV_DONTNEED: the flags have to come back, too.
    flags = _MAP_DROPPABLE | mmap.MAP_ANONYMOUS | _MAP_FIXED
    for start, end in areas:
        length = ctypes.c_size_t(end - start)
        mapped = library.mmap(
            ctypes.c_void_p(start), length, protection, flags, -1, ctypes.c_long(0)
        )
        if mapped == _FAILED:
            reason = os.strerror(ctypes.get_errno())
            raise SnapshotFailed(
                f"the C library's random state at {start:x}-{end:x} cannot be renewed: {reason}; "
                "clones would draw the same random bytes"
            )


def droppable(smaps: str) -> list[Area]:
    """Return the areas that the kernel may drop, out of the text of /proc/PID/smaps."""
    areas = []
    area = (0, 0)
    for line in smaps.splitlines():
        word, *rest = line.split(maxsplit=1)
        if not word.endswith(":"):
            start, _, end = word.partition("-")
            area = (int(start, 16), int(end, 16))
        elif word == "VmFlags:" and _DROPPABLE in " ".join(rest).split():
            areas.append(area)
    return areas
