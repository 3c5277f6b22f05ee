"""What CRIU found out about the kernel, kept with the snapshot: probing is most of its start.

CRIU keeps it at /run/criu.kdat by itself, but only where /run is a tmpfs, which it is in few
containers and small machines. Where it is not, the file is put there while CRIU starts; only in the
boot of the machine and with the capabilities that it was made with.
"""

import os
import time

from rookery.snapshots import private
from rookery.snapshots.verified import boot

NAME = "kernel"
CACHE = "/run/criu.kdat"

# In a mount namespace of its own, so that this machine's /run stays as it is: what may be there is
# not asked for, it may be of an earlier boot.
_LEARN = f'mount -t tmpfs tmpfs /run && {{ "$1" check >/dev/null 2>&1; cat {CACHE}; }}'
_SECONDS = 30  # it is a fraction of one


def learn(program: str, directory: str) -> None:
    """Let CRIU probe the kernel, and keep what it found in *directory*; else do nothing."""
    try:
        first = _circumstances()
        found = _learned(program)
    except OSError:
        return
    if found:
        with open(os.path.join(directory, NAME), "wb", opener=private.opener) as file:
            file.write(first + found)


def _learned(program: str) -> bytes:
    import signal
    import subprocess

    with subprocess.Popen(  # noqa: S603
        ("unshare", "--mount", "sh", "-c", _LEARN, "sh", program),  # noqa: S607 - util-linux, dash
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as learning:
        try:
            found, _ = learning.communicate(timeout=_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(learning.pid, signal.SIGKILL)  # with the CRIU that it waits for
            return b""
    return found if learning.returncode == 0 else b""


def offer(directory: str, *, cache: str = CACHE) -> bool:
    """Put what is kept in *directory* where CRIU looks for it; return whether that was done."""
    if _is_there(cache):
        return False
    fresh = f"{cache}.{os.getpid()}"
    try:
        with open(os.path.join(directory, NAME), "rb") as file:
            kept = file.read()
        first = _circumstances()
        if not kept.startswith(first):
            return False
        with open(fresh, "wb", opener=private.opener) as file:
            file.write(kept[len(first) :])
        os.rename(fresh, cache)
    except OSError:
        return False
    return True


def _is_there(cache: str) -> bool:
    """Whether CRIU will find *cache*; what is left of an earlier boot is removed."""
    # CRIU trusts that the file ends with the boot, as it does on a tmpfs. A launcher that was
    # killed before it could take it back leaves it on a disk.
    try:
        if os.stat(cache).st_mtime > time.time() - time.clock_gettime(time.CLOCK_BOOTTIME):
            return True
        os.unlink(cache)
    except OSError:
        return os.path.exists(cache)
    return False


def take_back(*, cache: str = CACHE) -> None:
    """Remove what `offer` has put there; another launcher may have done so."""
    try:
        os.unlink(cache)
    except OSError:
        return


def _circumstances() -> bytes:
    """Return what the findings depend on, as one line: the boot, and the capabilities."""
    with open("/proc/self/status", encoding="ascii", errors="replace") as file:
        held = next((line.split()[1] for line in file if line.startswith("CapEff:")), "")
    return f"{boot()} {held}\n".encode("ascii")
