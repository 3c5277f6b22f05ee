from dataclasses import replace
from pathlib import Path

import pytest

from rookery.snapshots.machine import Machine
from rookery.snapshots.support import judge

GOOD = Machine(kernel="6.18.44-fc", program="/opt/criu", version="4.1.1")


def without(capability):
    return GOOD.capabilities & ~(1 << capability)


def found(state, **changes):
    """The findings of *state* for a good machine with *changes*, by name."""
    findings = judge(replace(GOOD, **changes))
    return {finding.name: finding for finding in findings if finding.state == state}


def test_a_good_machine_lacks_nothing():
    assert found("missing") == {}
    assert set(found("ok")) == {
        "kernel", "CRIU", "criu check", "privileges", "PID namespaces", "ptrace",
    }  # fmt: skip
    assert found("note") == {}


@pytest.mark.parametrize(
    ("name", "changes", "said", "todo"),
    [
        ("kernel", {"kernel": "5.4.0-1"}, "Linux 5.4.0-1", "5.5"),
        ("kernel", {"kernel": ""}, "unknown version", "5.5"),
        ("CRIU", {"program": "", "problem": "none here"}, "none here", "scripts/install-criu"),
        ("CRIU", {"version": None}, "does not run", "scripts/install-criu"),
        ("CRIU", {"version": "3.17.1"}, "version 3.17.1; before 4.1", "scripts/install-criu"),
        ("criu check", {"complaint": "no ptrace"}, "no ptrace", "criu check --all"),
        ("privileges", {"capabilities": 0}, "lacks CAP_CHECKPOINT_RESTORE", "run as root"),
        ("privileges", {"capabilities": without(8)}, "lacks CAP_SETPCAP", "run as root"),
        ("PID namespaces", {"pid_namespaces": 0}, "none may be made", "max_pid_namespaces"),
        ("PID namespaces", {"unshare": False}, "not installed", "util-linux"),
        ("ptrace", {"ptrace_scope": 3}, "ptrace_scope is 3", "boot"),
        ("ptrace", {"ptrace_scope": 1, "capabilities": without(19)}, "is 1", "CAP_SYS_PTRACE"),
    ],
)
def test_what_is_missing_is_said_with_what_to_do(name, changes, said, todo):
    missing = found("missing", **changes)
    assert set(missing) == {name}
    assert said in missing[name].said
    assert todo in missing[name].todo


@pytest.mark.parametrize(
    "changes",
    [
        {"version": "4.1"},
        {"version": "10.0"},
        {"kernel": "5.10"},
        {"ptrace_scope": 2},
        {"ptrace_scope": 0, "capabilities": without(19)},
        {"capabilities": without(40)},
        {"pid_namespaces": 1},
    ],
)
def test_what_is_enough_is_not_missing(changes):
    assert found("missing", **changes) == {}


@pytest.mark.parametrize(
    ("name", "changes", "said"),
    [
        ("container", {"container": "Podman"}, "Podman"),
        ("user namespace", {"mapped_users": True}, "root is not root"),
        ("seccomp", {"seccomp": True}, "filter"),
        ("/proc/sys", {"proc_writable": False}, "read-only"),
        ("/run", {"kernel_known": False}, "not in memory"),
        ("io_uring", {"io_uring_disabled": 0}, "cannot be snapshotted"),
        ("huge pages", {"huge_pages": "madvise"}, "madvise"),
        ("disk", {"free_bytes": 3 << 30}, "3.0 GiB free"),
        ("gVisor", {"gvisor": True}, "gVisor"),
        ("agent", {"control_dir": Path("/control")}, "/control"),
    ],
)
def test_what_is_worth_knowing_is_noted(name, changes, said):
    notes = found("note", **changes)
    assert set(notes) == {name}
    assert said in notes[name].said


def test_an_old_criu_is_not_asked_what_it_misses():
    assert "criu check" not in found("missing", version="3.17", complaint="much")
