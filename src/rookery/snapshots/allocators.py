"""Finds the memory allocator whose pages cannot be mapped from a file.

What is given back with MADV_DONTNEED is zeros when anonymous memory is touched again, but mapped
memory is then what the file has. glibc, mimalloc and tcmalloc count on neither; jemalloc does: its
`calloc` would return memory that is not zero.
"""

import mmap
from collections.abc import Iterable
from pathlib import Path
from typing import Final

_JEMALLOC: Final = b"<jemalloc>"  # begins its every message, also where it is linked statically


def counts_on_zeros(libraries: Iterable[str]) -> str | None:
    """Return which of *libraries*, by path, has jemalloc in it: the first, or None."""
    for library in libraries:
        try:
            with (
                Path(library).open("rb") as file,
                mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content,
            ):
                if content.find(_JEMALLOC) >= 0:
                    return library
        except (OSError, ValueError):  # gone, or empty; neither is code that runs from there
            continue
    return None
