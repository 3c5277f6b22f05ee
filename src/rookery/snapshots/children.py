"""The children of this process, and which of them holds the other end of a pipe.

Imported before a snapshot is woken, where every millisecond counts.
"""

import os


def children() -> list[int]:
    """Return the process ids of the children of the calling thread, ended ones included."""
    with open("/proc/thread-self/children", encoding="ascii") as file:
        return [int(number) for number in file.read().split()]


def has_open(process: int, descriptor: int) -> bool:
    """Return whether *process* has open what our *descriptor* is, the other end of a pipe too."""
    wanted = os.fstat(descriptor)
    folder = f"/proc/{process}/fd"
    try:
        found = [os.stat(os.path.join(folder, number)) for number in os.listdir(folder)]
    except OSError:
        return False  # it is ending, or not ours to look into
    return any(os.path.samestat(one, wanted) for one in found)
