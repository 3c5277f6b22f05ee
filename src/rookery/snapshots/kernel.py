"""What CRIU found out about the kernel, kept with the snapshot: probing is most of its start.

CRIU keeps it at /run/criu.kdat by itself, but only where /run is a tmpfs, which it is in few
containers and small machines. Where it is not, the file is put there while CRIU starts; only in the
boot of the machine and with the capabilities that it was made with.
"""

import os
import time

from rookery.snapshots.verified import boot

NAME = "kernel"
CACHE = "/run/criu.kdat"

# In a mount namespace of its own, so that this machine's /run stays as it is.
_LEARN = f'mount -t tmpfs tmpfs /run && "$1" check >/dev/null 2>&1; cat {CACHE}'


def learn(program: str, directory: str) -> None:
    """Let CRIU probe the kernel, and keep what it found in *directory*; else do nothing."""
    import subprocess

    done = subprocess.run(  # noqa: S603
        ("unshare", "--mount", "sh", "-c", _LEARN, "sh", program),  # noqa: S607 - util-linux, dash
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    if done.returncode == 0 and done.stdout:
        with open(os.path.join(directory, NAME), "wb", opener=_private) as file:
            file.write(_circumstances() + done.stdout)


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
        with open(fresh, "wb", opener=_private) as file:
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


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
