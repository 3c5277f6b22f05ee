import os
from pathlib import Path

import pytest

from rookery.errors import SnapshotFailed
from rookery.snapshots import privileges
from rookery.snapshots.privileges import CHECKPOINT_RESTORE, SETPCAP, SYS_ADMIN

EVERYTHING = (1 << 41) - 1
NET_ADMIN, SYS_CHROOT, SYS_TIME = 12, 18, 25


@pytest.fixture
def as_root(monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 0)


def bits(*numbers):
    return sum(1 << number for number in numbers)


def test_the_capabilities_of_a_process_are_read():
    assert privileges.of("self") == privileges.of(os.getpid())
    status = Path("/proc/self/status").read_text()
    assert f"CapPrm:\t{privileges.of('self', 'CapPrm'):016x}\n" in status


def test_what_cannot_be_read_is_taken_for_everything():
    assert privileges.of(1 << 30) == -1
    assert privileges.of("self", "CapNone") == -1


@pytest.mark.parametrize("missing", [NET_ADMIN, SYS_CHROOT, SYS_ADMIN, SYS_TIME])
def test_criu_is_limited_by_any_that_is_missing(missing):
    assert not privileges.limited(EVERYTHING)
    assert privileges.limited(EVERYTHING & ~bits(missing))


def test_namespaces_take_one_capability():
    assert privileges.may_make_namespaces(bits(SYS_ADMIN))
    assert not privileges.may_make_namespaces(EVERYTHING & ~bits(SYS_ADMIN))


@pytest.mark.usefixtures("as_root")
@pytest.mark.parametrize(
    ("held", "made_with"),
    [
        (EVERYTHING, EVERYTHING),
        (bits(SETPCAP, SYS_ADMIN), bits(SETPCAP, SYS_ADMIN)),
        (bits(SETPCAP, CHECKPOINT_RESTORE), 0),
        (-1, EVERYTHING),
    ],
)
def test_a_snapshot_wakes_where_all_it_had_is_there(held, made_with):
    privileges.require(held, made_with)


@pytest.mark.usefixtures("as_root")
@pytest.mark.parametrize(
    ("held", "made_with", "reason"),
    [
        (bits(SETPCAP), 0, "takes CAP_CHECKPOINT_RESTORE or CAP_SYS_ADMIN"),
        (bits(SYS_ADMIN), 0, "takes CAP_SETPCAP"),
        (bits(SETPCAP, SYS_ADMIN), bits(SYS_TIME), r"more capabilities .* \(0x2000000\)"),
    ],
)
def test_a_snapshot_that_cannot_wake_is_refused_before_criu_hangs(held, made_with, reason):
    with pytest.raises(SnapshotFailed, match=reason):
        privileges.require(held, made_with)


def test_a_user_is_left_to_criu_which_may_have_capabilities_of_its_own(monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    privileges.require(0, EVERYTHING)
