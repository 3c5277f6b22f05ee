"""Files that nobody but their owner may read, from the first moment: they hold a whole process.

Imported before a snapshot is woken, where every millisecond counts.
"""

import os


def opener(path: str, flags: int) -> int:
    """Open *path* for the `open` that this is the opener of; what it makes has the mode 0600."""
    return os.open(path, flags, 0o600)
