"""A folder that is there whole or not at all, and what of a killed maker is swept away."""

import errno
import fcntl
import os
import uuid
from contextlib import contextmanager
from pathlib import Path

import pytest

from rookery.snapshots.incoming import incoming

LEFT = uuid.UUID(int=7).hex


@pytest.fixture
def wanted(tmp_path):
    return tmp_path / "parent" / "snapshot"


def beside(wanted):
    return sorted(path.name for path in wanted.parent.iterdir())


def put(path, content):
    path.mkdir(parents=True)
    (path / "content").write_text(content)


def make(wanted, content="new"):
    with incoming(wanted) as fresh:
        (fresh / "content").write_text(content)


@contextmanager
def locked(path):
    lock = os.open(path, os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_EX)
    try:
        yield
    finally:
        os.close(lock)


@pytest.mark.parametrize("older", [False, True])
def test_what_is_made_is_in_its_place_alone(wanted, older):
    if older:
        put(wanted, "older")
    make(wanted)
    assert (wanted / "content").read_text() == "new"
    assert beside(wanted) == ["snapshot"]


@pytest.mark.parametrize("left", [f".snapshot.{LEFT}", f".snapshot.{LEFT}.old"])
def test_what_a_killed_one_left_is_removed(wanted, left):
    put(wanted, "older")
    put(wanted.with_name(left), "left")
    make(wanted)
    assert beside(wanted) == ["snapshot"]


def test_what_a_killed_one_had_put_aside_returns(wanted):
    put(wanted.with_name(f".snapshot.{LEFT}.old"), "older")
    with pytest.raises(RuntimeError), incoming(wanted):
        raise RuntimeError
    assert (wanted / "content").read_text() == "older"
    assert beside(wanted) == ["snapshot"]


@pytest.mark.parametrize(
    "other",
    [
        f".other.{LEFT}",
        f".snapshot.{LEFT}.mine",
        f".snapshot.{LEFT[:-1]}",
        ".snapshot.old",
        f"snapshot.{LEFT}",
    ],
)
def test_what_is_not_of_this_kind_stays(wanted, other):
    put(wanted.with_name(other), "precious")
    make(wanted)
    assert beside(wanted) == sorted(["snapshot", other])


def test_what_another_is_making_stays(wanted):
    with incoming(wanted) as first:
        put(first / "deep", "half")
        make(wanted, "second")
        assert (first / "deep" / "content").exists()
    assert beside(wanted) == ["snapshot"]


def test_what_another_has_just_put_aside_stays(wanted):
    making = wanted.with_name(f".snapshot.{LEFT}")
    put(making, "half")
    put(making.with_name(f"{making.name}.old"), "older")
    with locked(making), pytest.raises(RuntimeError), incoming(wanted):
        raise RuntimeError
    assert beside(wanted) == [making.name, f"{making.name}.old"]


def test_a_link_is_not_followed(wanted, tmp_path):
    put(tmp_path / "precious", "precious")
    wanted.parent.mkdir()
    wanted.with_name(f".snapshot.{LEFT}").symlink_to(tmp_path / "precious")
    make(wanted)
    assert (tmp_path / "precious" / "content").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
@pytest.mark.parametrize("left", [f".snapshot.{LEFT}", f".snapshot.{LEFT}.old"])
def test_what_another_user_has_put_there_is_no_snapshot(wanted, left):
    put(wanted.with_name(left), "evil")
    os.chown(wanted.with_name(left), 12345, 12345)
    with pytest.raises(RuntimeError), incoming(wanted):
        raise RuntimeError
    assert beside(wanted) == [left]


def test_one_that_was_swept_away_before_it_was_locked_is_made_again(wanted, monkeypatch):
    lock = fcntl.flock
    swept = []

    def late(descriptor, operation):
        if not swept:
            swept.append(Path(f"/proc/self/fd/{descriptor}").readlink())
            swept[0].rmdir()
        lock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", late)
    make(wanted)
    assert swept
    assert beside(wanted) == ["snapshot"]


def test_parents_that_were_made_go_where_it_cannot_be_made(tmp_path):
    # Its own name is not too long, that of the hidden folder is.
    with pytest.raises(OSError, match="too long"):
        make(tmp_path / "deep" / "down" / ("x" * 250))
    assert [*tmp_path.iterdir()] == []


def test_one_that_cannot_be_opened_is_not_left(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    with monkeypatch.context() as broken:
        broken.setattr(os, "open", refuse)
        with pytest.raises(OSError, match="Too many open files"):
            make(tmp_path / "deep" / "snapshot")
    assert [*tmp_path.iterdir()] == []


@pytest.mark.parametrize("left", [f".snapshot.{LEFT}", f".snapshot.{LEFT}.old"])
def test_what_another_one_sweeps_away_first_is_no_failure(wanted, left, monkeypatch):
    wanted.parent.mkdir()
    gone = wanted.with_name(left)
    monkeypatch.setattr(Path, "iterdir", lambda _: iter([gone]))
    make(wanted)
    monkeypatch.undo()
    assert beside(wanted) == ["snapshot"]
