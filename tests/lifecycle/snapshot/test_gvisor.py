"""The protocol of gVisor's file, on a stand-in: no packaged runsc has the file yet."""

import errno
import os

import pytest

from rookery.errors import SnapshotFailed
from rookery.lifecycle.snapshot import gvisor
from rookery.lifecycle.snapshot.gvisor import GvisorDriver
from rookery.lifecycle.snapshot.protocol import Restored


class StandIn:
    """Stands in for `os`: a kernel with that one file."""

    O_RDONLY, O_RDWR, O_CLOEXEC = os.O_RDONLY, os.O_RDWR, os.O_CLOEXEC
    fsdecode = staticmethod(os.fsdecode)

    def __init__(self, answer=b"restore\n", *, open_error=None, write_error=None):
        self.calls = []
        self._answer = answer
        self._open_error = open_error
        self._write_error = write_error

    def open(self, _, flags):
        writable = bool(flags & os.O_RDWR)
        self.calls.append("open read-write" if writable else "open read-only")
        if self._open_error is not None and (writable or self._open_error == errno.ENOENT):
            raise OSError(self._open_error, os.strerror(self._open_error))
        return 99

    def write(self, _, data):
        self.calls.append(f"write {data.decode()}")
        if self._write_error is not None:
            raise OSError(self._write_error, os.strerror(self._write_error))
        return len(data)

    def read(self, *_):
        self.calls.append("read")
        return self._answer

    def close(self, _):
        self.calls.append("close")


@pytest.fixture
def driver(tmp_path, monkeypatch):
    """Make a driver whose file is the given stand-in."""

    def make(kernel):
        monkeypatch.setattr(gvisor, "os", kernel)
        return GvisorDriver(tmp_path / "checkpoint", tmp_path / "spec_environ")

    return make


def test_a_checkpoint_is_asked_for_and_awaited(driver):
    kernel = StandIn(b"resume\n")
    driver(kernel).wait()
    assert kernel.calls == ["open read-write", "write 1", "read", "close"]


@pytest.mark.parametrize("answer", [b"resume", b"resume\n"])
def test_the_process_that_was_snapshotted_goes_on(driver, answer):
    assert driver(StandIn(answer)).wait() is None


@pytest.mark.parametrize("answer", [b"restore", b"restore\n"])
def test_a_clone_is_told_its_environment(tmp_path, driver, answer):
    (tmp_path / "spec_environ").write_bytes(
        b"S3_BUCKET_NAME=images\0EQUALS=a=b\0EMPTY=\0\0broken\0"
    )
    restored = driver(StandIn(answer)).wait()
    expected = {"S3_BUCKET_NAME": "images", "EQUALS": "a=b", "EMPTY": ""}
    assert restored == Restored(environ=expected)


def test_an_environment_need_not_be_text(tmp_path, driver):
    (tmp_path / "spec_environ").write_bytes(b"NAME=\xff\xfe\0")
    assert os.fsencode(driver(StandIn()).wait().environ["NAME"]) == b"\xff\xfe"


def test_a_clone_without_that_file_keeps_its_environment(driver):
    assert driver(StandIn()).wait() == Restored()


@pytest.mark.parametrize("answer", [b"error\n", b"", b"later\n", b"\xff"])
def test_any_other_answer_is_a_failure(driver, answer):
    with pytest.raises(SnapshotFailed, match="did not take a checkpoint"):
        driver(StandIn(answer)).wait()


@pytest.mark.parametrize("code", [errno.EACCES, errno.EPERM, errno.EROFS])
def test_a_container_that_may_not_ask_waits(driver, code):
    kernel = StandIn(open_error=code, write_error=errno.EBADF)
    assert driver(kernel).wait() == Restored()
    assert kernel.calls == ["open read-write", "open read-only", "write 1", "read", "close"]


def test_a_checkpoint_that_somebody_asked_for_is_awaited(driver):
    assert driver(StandIn(write_error=errno.ENXIO)).wait() == Restored()


@pytest.mark.parametrize(
    "kernel",
    [StandIn(open_error=errno.ENOENT), StandIn(write_error=errno.EIO)],
    ids=["open", "write"],
)
def test_a_file_that_cannot_be_used_is_a_failure(driver, kernel):
    with pytest.raises(SnapshotFailed, match=r"dev\.gvisor\.internal\.checkpoint\.path"):
        driver(kernel).wait()


def test_the_file_is_closed_after_a_failure(driver):
    kernel = StandIn(write_error=errno.EIO)
    with pytest.raises(SnapshotFailed):
        driver(kernel).wait()
    assert kernel.calls[-1] == "close"


def test_nothing_is_reported():
    assert GvisorDriver().report("refused") is None
