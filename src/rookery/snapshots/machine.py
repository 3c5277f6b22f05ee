"""What a machine offers to snapshots: its kernel, its CRIU, and the privileges of this process."""

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rookery.errors import CriuMissing
from rookery.snapshots import criu

_SECONDS: Final = 30
_ALL: Final = (1 << 41) - 1
_CONTAINERS: Final = {
    ".dockerenv": "Docker",
    "run/.containerenv": "Podman",
    "run/secrets/kubernetes.io": "Kubernetes",
    "proc/gvisor": "gVisor",
}


@dataclass(frozen=True, slots=True)
class Machine:
    """What `look` found; None: there is no such thing here, or it cannot be read.

    Attributes:
        kernel: the release.
        program: CRIU; "" where there is none.
        problem: why there is none.
        version: what CRIU says it is.
        complaint: what `criu check` says is missing; "" when it is content.
        unshare: whether the program that makes the PID namespace is installed.
        capabilities: the effective ones of this process, as a bit set.
        mapped_users: whether this process is in a user namespace, where root is not root.
        seccomp: whether a filter stands between this process and the kernel.
        pid_namespaces: how many may be made.
        ptrace_scope: Yama's.
        io_uring_disabled: 0 where every process may use io_uring.
        proc_writable: whether /proc/sys may be written to.
        kernel_known: whether CRIU has kept, or can keep, what it found out about the kernel;
            which it does where /run is in memory.
        huge_pages: the setting of transparent huge pages.
        free_bytes: room where snapshots would go.
        container: what kind of container this is.
        control_dir: the folder of an agent that takes snapshots, if it exists.
        gvisor: whether gVisor can snapshot this container.
    """

    kernel: str
    program: str = ""
    problem: str = ""
    version: str | None = None
    complaint: str = ""
    unshare: bool = True
    capabilities: int = _ALL
    mapped_users: bool = False
    seccomp: bool = False
    pid_namespaces: int | None = None
    ptrace_scope: int | None = None
    io_uring_disabled: int | None = None
    proc_writable: bool = True
    kernel_known: bool = True
    huge_pages: str | None = None
    free_bytes: int | None = None
    container: str | None = None
    control_dir: Path | None = None
    gvisor: bool = False


def look(environ: Mapping[str, str], folder: Path, *, root: Path = Path("/")) -> Machine:
    """Look at this machine, without changing anything.

    Args:
        environ: where ROOKERY_CRIU, ROOKERY_HOME, PATH and SNAPSHOT_CONTROL_DIR are read.
        folder: where snapshots would be written; need not exist.
        root: of the system's files; another one in tests.
    """
    program, problem = "", ""
    try:
        program = criu.find_in(environ)
    except CriuMissing as exc:
        problem = str(exc)
    status = _fields(_text(root / "proc/self/status"))
    control_dir = Path(environ.get("SNAPSHOT_CONTROL_DIR") or root / "snapshot-control")
    chosen = re.search(r"\[(\w+)\]", _text(root / "sys/kernel/mm/transparent_hugepage/enabled"))
    sysctl = root / "proc/sys"
    return Machine(
        kernel=_text(sysctl / "kernel/osrelease").strip(),
        program=program,
        problem=problem,
        version=_version(program) if program else None,
        complaint=_complaint(program) if program else "",
        unshare=shutil.which("unshare", path=environ.get("PATH", os.defpath)) is not None,
        capabilities=int(status.get("CapEff", f"{_ALL:x}"), 16),
        mapped_users=_are_mapped(_text(root / "proc/self/uid_map")),
        seccomp=status.get("Seccomp", "0") != "0",
        pid_namespaces=_number(sysctl / "user/max_pid_namespaces"),
        ptrace_scope=_number(sysctl / "kernel/yama/ptrace_scope"),
        io_uring_disabled=_number(sysctl / "kernel/io_uring_disabled"),
        proc_writable=os.access(sysctl / "kernel/ns_last_pid", os.W_OK),
        kernel_known=_in_memory(_text(root / "proc/self/mounts"), "/run")
        or (root / "run/criu.kdat").exists(),
        huge_pages=chosen and chosen[1],
        free_bytes=_free_bytes(folder),
        container=next(
            (kind for sign, kind in _CONTAINERS.items() if (root / sign).exists()), None
        ),
        control_dir=control_dir if control_dir.is_dir() else None,
        gvisor=(root / "proc/gvisor/checkpoint").exists(),
    )


def _version(program: str) -> str | None:
    said = re.search(r"Version: *(\S+)", _run(program, "--version"))
    return said and said[1]


def _complaint(program: str) -> str:
    said = _run(program, "check").strip()
    if "Looks good" in said:
        return ""
    errors = [line.partition("): ")[2] or line for line in said.splitlines() if "Error" in line]
    return (errors or said.splitlines() or ["it says nothing"])[0].strip()


def _run(*command: str) -> str:
    try:
        done = subprocess.run(  # noqa: S603 - our own command line
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"no answer within {_SECONDS} s"
    except OSError as exc:
        return f"cannot be run: {exc.strerror}"
    return done.stdout


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""


def _number(path: Path) -> int | None:
    text = _text(path).strip()
    return int(text) if re.fullmatch(r"-?[0-9]+", text) else None


def _fields(text: str) -> dict[str, str]:
    pairs = (line.partition(":") for line in text.splitlines())
    return {name: value.strip() for name, _, value in pairs}


def _are_mapped(uid_map: str) -> bool:
    """See whether user ids differ from those of the machine."""
    return bool(uid_map) and uid_map.split() != ["0", "0", "4294967295"]


def _in_memory(mounts: str, folder: str) -> bool:
    kinds = [line.split()[2] for line in mounts.splitlines() if line.split()[1] == folder]
    return bool(kinds) and kinds[-1] == "tmpfs"


def _free_bytes(folder: Path) -> int | None:
    for existing in (folder.absolute(), *folder.absolute().parents):
        try:
            return shutil.disk_usage(existing).free
        except OSError:
            continue
    return None
