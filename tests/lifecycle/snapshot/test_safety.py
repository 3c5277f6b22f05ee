import ctypes
import os
import platform
import select
import socket
import subprocess
import sys
import tempfile

import pytest

from rookery.errors import SnapshotUnsafe
from rookery.lifecycle.snapshot import safety
from rookery.lifecycle.snapshot.safety import (
    Child,
    Descriptor,
    Process,
    offenders,
    read_process,
    refuse_offenders,
)

IO_URING_SETUP, USERFAULTFD = 425, {"x86_64": 323, "aarch64": 282}.get(platform.machine(), -1)


@pytest.mark.parametrize(
    "descriptor",
    [
        Descriptor(7, "/usr/share/model.bin"),
        Descriptor(7, "/srv"),
        Descriptor(7, "/dev/null", written=True),
        Descriptor(7, "/dev/urandom"),
        Descriptor(7, "/dev/shm/arena"),
        Descriptor(7, "/memfd:kernels (deleted)", written=True),
        Descriptor(7, "anon_inode:[eventpoll]"),
        Descriptor(7, "anon_inode:[eventfd]", written=True),
        Descriptor(7, "anon_inode:[timerfd]", written=True),
        Descriptor(7, "anon_inode:[signalfd]", written=True),
        Descriptor(0, "pipe:[1]"),
        Descriptor(1, "/var/log/function.log", written=True),
        Descriptor(2, "/dev/pts/3", written=True),
        Descriptor(4, "pipe:[2]", written=True),
    ],
    ids=str,
)
def test_a_descriptor_that_a_snapshot_keeps(descriptor):
    assert offenders(Process(descriptors=(descriptor,)), (), given=(3, 4)) == ()


@pytest.mark.parametrize(
    ("descriptor", "named"),
    [
        (Descriptor(7, "socket:[1]", socket="TCP socket a -> b"), "TCP socket a -> b"),
        (Descriptor(1, "socket:[1]", socket="UNIX socket"), "UNIX socket"),
        (Descriptor(7, "pipe:[1]"), "pipe:[1], whose other end is not in this process"),
        (Descriptor(7, "/var/log/a.log", written=True), "/var/log/a.log, open for writing"),
        (Descriptor(7, "/tmp/weights (deleted)"), "/tmp/weights, a deleted file"),
        (Descriptor(7, "/dev/nvidia0", written=True), "/dev/nvidia0, a device"),
        (Descriptor(7, "/dev/shm/a", written=True), "/dev/shm/a, open for writing"),
        (Descriptor(7, "anon_inode:[io_uring]", written=True), "io_uring"),
        (Descriptor(7, "anon_inode:inotify"), "inotify"),
        (Descriptor(7, "anon_inode:[pidfd]"), "pidfd"),
        (Descriptor(7, "anon_inode:[userfaultfd]"), "userfaultfd"),
        (Descriptor(7, "anon_inode:[perf_event]"), "perf_event"),
        (Descriptor(7, "net:[4026531833]"), "net:[4026531833]"),
    ],
    ids=str,
)
def test_a_descriptor_that_no_snapshot_keeps(descriptor, named):
    expected = (f"descriptor {descriptor.number}: {named}",)
    assert offenders(Process(descriptors=(descriptor,)), ()) == expected


def test_a_pipe_within_the_process_is_kept():
    ends = (Descriptor(7, "pipe:[1]"), Descriptor(8, "pipe:[1]", written=True))
    assert offenders(Process(descriptors=ends), ()) == ()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("[heap]", ()),
        ("/usr/lib/libc.so.6", ()),
        ("/dev/zero (deleted)", ()),
        ("/memfd:kernels (deleted)", ()),
        ("/SYSV00000000 (deleted)", ()),
        ("/dev/shm/arena", ()),
        ("/opt/libold.so (deleted)", ("memory of /opt/libold.so, a deleted file",)),
        ("/dev/nvidia0", ("memory of /dev/nvidia0, a device",)),
        ("anon_inode:[io_uring]", ("memory of io_uring",)),
    ],
)
def test_mapped_memory_is_judged(name, expected):
    assert offenders(Process(mapped=frozenset({name})), ()) == expected


def test_a_child_is_named_with_its_command():
    process = Process(children=(Child(12, "sleep 60"), Child(13, "")))
    assert offenders(process, ()) == (
        "child process 12: sleep 60",
        "child process 13: (ended, and was not waited for)",
    )


def test_a_secret_in_the_environment_is_named_without_its_value():
    process = Process(variables=frozenset({"S3_SECRET_KEY", "HOME"}))
    (found,) = offenders(process, ("S3_SECRET_KEY", "ROOKERY_TOKEN"))
    assert found.startswith("the environment variable S3_SECRET_KEY:")


def test_a_secret_that_was_unset_is_still_in_memory():
    process = Process(started_with=frozenset({"S3_SECRET_KEY"}))
    (found,) = offenders(process, ("S3_SECRET_KEY",))
    assert "the process was started with it" in found


def test_all_offenders_are_named_together():
    process = Process(
        descriptors=(Descriptor(7, "anon_inode:inotify"), Descriptor(8, "anon_inode:[io_uring]")),
        children=(Child(12, "sleep 60"),),
        variables=frozenset({"S3_SECRET_KEY"}),
    )
    assert len(offenders(process, ("S3_SECRET_KEY",))) == 4


def test_offenders_are_refused_by_name(monkeypatch):
    process = Process(descriptors=(Descriptor(7, "anon_inode:inotify"),))
    monkeypatch.setattr(safety, "read_process", lambda: process)
    with pytest.raises(SnapshotUnsafe, match="descriptor 7: inotify"):
        refuse_offenders((), ())


def test_a_harmless_process_passes(monkeypatch):
    monkeypatch.setattr(safety, "read_process", Process)
    refuse_offenders((), ())


# --- the reader, on what this process really holds -------------------------------------------


def found_beside(before):
    """What is found now, and was not found when *before* was."""
    return sorted(set(offenders(read_process(), ("ROOKERY_TEST_SECRET",))) - set(before))


@pytest.fixture
def before():
    return offenders(read_process(), ("ROOKERY_TEST_SECRET",))


def test_a_listening_socket_is_found(before):
    with socket.create_server(("127.0.0.1", 0)) as server:
        host, port = server.getsockname()
        expected = f"descriptor {server.fileno()}: TCP socket that listens on {host}:{port}"
        assert found_beside(before) == [expected]


def test_a_connection_is_found_with_both_ends(before):
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()) as client,
    ):
        own, peer = client.getsockname()[1], server.getsockname()[1]
        ends = f"TCP socket 127.0.0.1:{own} -> 127.0.0.1:{peer}"
        assert f"descriptor {client.fileno()}: {ends}" in found_beside(before)


@pytest.mark.parametrize(
    ("family", "kind", "name"),
    [
        (socket.AF_INET, socket.SOCK_STREAM, "TCP socket"),
        (socket.AF_INET, socket.SOCK_DGRAM, "UDP socket"),
        (socket.AF_INET6, socket.SOCK_DGRAM, "UDP socket"),
        (socket.AF_UNIX, socket.SOCK_STREAM, "UNIX socket"),
        (socket.AF_NETLINK, socket.SOCK_RAW, "NETLINK socket"),
    ],
)
def test_a_socket_is_found_whatever_its_kind(before, family, kind, name):
    try:
        one = socket.socket(family, kind)
    except OSError as exc:
        pytest.skip(f"no such sockets here: {exc}")
    with one:
        (found,) = found_beside(before)
    assert found.startswith(f"descriptor {one.fileno()}: {name}") or name in found


def test_an_abstract_unix_socket_is_named(before):
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(f"\0rookery-test-{os.getpid()}")
        (found,) = found_beside(before)
    assert found.endswith(f"UNIX socket @rookery-test-{os.getpid()}")


def test_a_socket_is_as_it_was_after_it_was_described(before):
    ours, theirs = socket.socketpair()
    with ours, theirs:
        found_beside(before)
        ours.sendall(b"still here")
        assert theirs.recv(100) == b"still here"


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (("inotify_init",), "inotify"),
        (("syscall", IO_URING_SETUP, 8, ctypes.create_string_buffer(120)), "io_uring"),
        (("syscall", USERFAULTFD, 0), "userfaultfd"),
    ],
)
def test_what_only_the_kernel_knows_is_found(before, call, name):
    descriptor = getattr(ctypes.CDLL(None), call[0])(*call[1:])
    if descriptor < 0:
        pytest.skip(f"this kernel, or its seccomp filter, makes no {name}")
    try:
        assert found_beside(before) == [f"descriptor {descriptor}: {name}"]
    finally:
        os.close(descriptor)


def test_a_child_and_its_pidfd_are_found(before):
    with subprocess.Popen(["sleep", "60"]) as child:
        pidfd = os.pidfd_open(child.pid)
        try:
            found = found_beside(before)
        finally:
            os.close(pidfd)
            child.kill()
    assert f"child process {child.pid}: sleep 60" in found
    assert any("pidfd" in one for one in found)


def test_a_child_nobody_waited_for_is_found(before):
    child = subprocess.Popen(["true"])
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    try:
        assert found_beside(before) == [
            f"child process {child.pid}: (ended, and was not waited for)"
        ]
    finally:
        child.wait()


def test_files_that_change_or_are_gone_are_found(before, tmp_path):
    log = tmp_path / "a file.log"
    with log.open("w"), tempfile.TemporaryFile(dir=tmp_path):
        named = [one.partition(": ")[2] for one in found_beside(before)]
    assert f"{log}, open for writing" in named
    assert any(one.endswith("a deleted file") for one in named)


def test_what_python_itself_holds_is_fine(before, tmp_path):
    (tmp_path / "model.bin").write_bytes(b"weights")
    ends = os.pipe()
    with (tmp_path / "model.bin").open("rb"), select.epoll(), open(os.devnull, "w"):  # noqa: PTH123
        assert found_beside(before) == []
    for end in ends:
        os.close(end)


def test_a_secret_is_found(before, monkeypatch):
    monkeypatch.setenv("ROOKERY_TEST_SECRET", "wJalrXUtnFEMI")
    (found,) = found_beside(before)
    assert "ROOKERY_TEST_SECRET" in found
    assert "wJalr" not in found


def test_a_variable_without_a_value_is_no_secret(before, monkeypatch):
    monkeypatch.setenv("ROOKERY_TEST_SECRET", "")
    assert found_beside(before) == []


def test_the_environment_a_process_was_started_with_is_looked_at():
    code = (
        "import os; del os.environ['ROOKERY_TEST_SECRET']\n"
        "from rookery.lifecycle.snapshot.safety import *\n"
        "print(*offenders(read_process(), ['ROOKERY_TEST_SECRET']))"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"ROOKERY_TEST_SECRET": "wJalrXUtnFEMI"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "ROOKERY_TEST_SECRET: it is no longer set" in answer.stdout
