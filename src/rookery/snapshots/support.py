"""Whether snapshots can be made and woken on a machine, and what to do where they cannot.

What it says was found out by taking things away one by one; `trial` tries all of it for real.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from rookery.snapshots import criu, privileges
from rookery.snapshots.machine import Machine

_GIBIBYTE: Final = 1 << 30
_OLDEST: Final = ".".join(map(str, criu.OLDEST))
# The first kernel with clone3(set_tid), by which a clone gets the function's process id back.
_OLDEST_KERNEL: Final = (5, 5)

_PTRACE: Final = (19, "CAP_SYS_PTRACE")
_PTRACE_FORBIDDEN: Final = 3  # Yama's: to everyone, until the next boot


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report: what was looked at, how it is, and what to do about it."""

    name: str
    state: Literal["ok", "missing", "note"]
    said: str
    todo: str = ""


def judge(machine: Machine) -> list[Finding]:
    """Say what *machine* means for snapshots by CRIU, and which other ways it offers."""
    return [
        _kernel(machine),
        *_criu(machine),
        _privileges(machine),
        _namespaces(machine),
        _ptrace(machine),
        *_container(machine),
        *_notes(machine),
        *_other_drivers(machine),
    ]


def _kernel(machine: Machine) -> Finding:
    if _numbers(machine.kernel) >= _OLDEST_KERNEL:
        return Finding("kernel", "ok", f"Linux {machine.kernel}")
    return Finding(
        "kernel",
        "missing",
        f"Linux {machine.kernel or 'of unknown version'} cannot give a clone its process ids",
        f"boot Linux {'.'.join(map(str, _OLDEST_KERNEL))} or newer",
    )


def _criu(machine: Machine) -> Iterator[Finding]:
    install = f"install CRIU {_OLDEST} or newer with: scripts/install-criu"
    if not machine.program:
        yield Finding("CRIU", "missing", machine.problem, f"{install}; or name one: ROOKERY_CRIU")
        return
    where = f"{machine.program}"
    if machine.version is None:
        yield Finding("CRIU", "missing", f"{where} does not run", install)
        return
    if _numbers(machine.version) < criu.OLDEST:
        yield Finding(
            "CRIU",
            "missing",
            f"{where} is version {machine.version}; before {_OLDEST} it cannot read the vDSO of "
            "kernels from 6.x on",
            install,
        )
        return
    yield Finding("CRIU", "ok", f"version {machine.version}, {where}")
    if machine.complaint:
        yield Finding(
            "criu check",
            "missing",
            f"CRIU misses something: {machine.complaint}",
            "as root, see all it says with: criu check --all",
        )
    else:
        yield Finding("criu check", "ok", "the kernel has all that CRIU needs")


def _privileges(machine: Machine) -> Finding:
    held = machine.capabilities
    if not (held >> privileges.SYS_ADMIN | held >> privileges.CHECKPOINT_RESTORE) & 1:
        lacking = "CAP_CHECKPOINT_RESTORE"
    elif not held >> privileges.SETPCAP & 1:
        lacking = "CAP_SETPCAP"
    else:
        return Finding("privileges", "ok", "this process has the capabilities that CRIU needs")
    return Finding(
        "privileges",
        "missing",
        f"this process lacks {lacking}",
        "run as root; in a container as user 0 with CAP_CHECKPOINT_RESTORE and CAP_SETPCAP",
    )


def _namespaces(machine: Machine) -> Finding:
    if not privileges.may_make_namespaces(machine.capabilities):
        return Finding(
            "PID namespaces",
            "note",
            "may not be made without CAP_SYS_ADMIN; there can be one clone in each container",
        )
    if not machine.unshare:
        return Finding(
            "PID namespaces", "missing", "unshare is not installed", "install util-linux"
        )
    if machine.pid_namespaces == 0:
        return Finding(
            "PID namespaces",
            "missing",
            "none may be made here, and every function and clone needs its own",
            "sysctl user.max_pid_namespaces=1000",
        )
    return Finding("PID namespaces", "ok", "may be made")


def _ptrace(machine: Machine) -> Finding:
    scope, traces = machine.ptrace_scope, bool(machine.capabilities >> _PTRACE[0] & 1)
    if scope == _PTRACE_FORBIDDEN:
        return Finding(
            "ptrace",
            "missing",
            "kernel.yama.ptrace_scope is 3: no process may look into another until the next boot",
            "boot with a lower kernel.yama.ptrace_scope",
        )
    if scope and not traces:
        return Finding(
            "ptrace",
            "missing",
            f"kernel.yama.ptrace_scope is {scope}, and this process lacks {_PTRACE[1]}",
            f"add {_PTRACE[1]}, or sysctl kernel.yama.ptrace_scope=0",
        )
    return Finding("ptrace", "ok", "CRIU may look into a function's process")


def _container(machine: Machine) -> Iterator[Finding]:
    if machine.container:
        yield Finding("container", "note", f"this is a container of {machine.container}")
    if machine.mapped_users:
        yield Finding(
            "user namespace",
            "note",
            "root is not root here: this process is in a user namespace",
            "if the trial fails, use a container that is not rootless",
        )
    if machine.seccomp:
        yield Finding(
            "seccomp",
            "note",
            "a filter may refuse system calls that CRIU makes",
            "if the trial fails, use a profile that allows ptrace, kcmp, process_vm_readv, "
            "unshare, setns, clone3 and mount, or none: seccomp=unconfined",
        )
    if not machine.proc_writable:
        yield Finding("/proc/sys", "note", "is read-only; CRIU then sets process ids by clone3")


def _notes(machine: Machine) -> Iterator[Finding]:
    if not machine.kernel_known:
        yield Finding(
            "/run",
            "note",
            "is not in memory; a snapshot that was made before the last boot, or elsewhere, wakes "
            "35 ms later, as CRIU then asks the kernel what it can do",
            "mount a tmpfs on /run (in Kubernetes: an emptyDir with medium: Memory)",
        )
    if machine.io_uring_disabled == 0:
        yield Finding(
            "io_uring",
            "note",
            "is allowed; a function that uses it cannot be snapshotted",
            "forbid it with: sysctl kernel.io_uring_disabled=2",
        )
    if machine.huge_pages is not None:
        yield Finding("huge pages", "note", f"transparent huge pages: {machine.huge_pages}")
    if machine.free_bytes is not None:
        yield Finding(
            "disk",
            "note",
            f"{machine.free_bytes / _GIBIBYTE:.1f} GiB free; a snapshot takes 0.2 to 1 GiB",
        )


def _other_drivers(machine: Machine) -> Iterator[Finding]:
    if machine.gvisor:
        yield Finding(
            "gVisor",
            "note",
            "this container can be snapshotted by gVisor, without CRIU",
            "ROOKERY_SNAPSHOT=gvisor rookery serve FUNCTION",
        )
    if machine.control_dir is not None:
        yield Finding(
            "agent",
            "note",
            f"an agent that takes snapshots may share {machine.control_dir} with this process",
            "ROOKERY_SNAPSHOT=sentinel rookery serve FUNCTION",
        )


def _numbers(version: str) -> tuple[int, ...]:
    """Return the leading numbers of a version: `6.18.44-fc` is 6, 18, 44."""
    leading = re.match(r"\d+(\.\d+)*", version)
    return tuple(map(int, leading[0].split("."))) if leading else ()
