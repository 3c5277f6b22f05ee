import os
from math import ceil
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rookery.cpus import groups, has_int8_instructions, usable_cpus, v1_quota, v2_quota

MICROSECONDS = st.integers(min_value=1, max_value=10**12)


class Machine:
    """A folder that looks like /proc/self, and hierarchies of control groups beside it."""

    def __init__(self, folder):
        self.proc = folder / "proc"
        self.proc.mkdir()
        self.mounts = {kind: folder / kind for kind in ("cgroup2", "cgroup")}

    def belongs(self, membership, *, kind="cgroup2", root="/", options="rw"):
        mount = self.mounts[kind]
        mount.mkdir()
        for name, text in (
            ("cgroup", f"{membership}\n"),
            ("mountinfo", f"31 24 0:27 {root} {mount} rw,nosuid shared:9 - {kind} x {options}\n"),
        ):
            with (self.proc / name).open("a") as file:
                file.write(text)
        return mount

    def cpus(self):
        return usable_cpus(self.proc)


@pytest.fixture
def machine(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    return Machine(tmp_path)


def granted(folder, text):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "cpu.max").write_text(text)


def granted_v1(folder, quota, period):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "cpu.cfs_quota_us").write_text(f"{quota}\n")
    (folder / "cpu.cfs_period_us").write_text(f"{period}\n")


def test_without_groups_they_are_those_the_process_may_run_on(machine):
    assert machine.cpus() == 8


def test_this_process_has_at_least_one_and_no_more_than_it_may_run_on():
    assert 1 <= usable_cpus() <= len(os.sched_getaffinity(0))


@pytest.mark.parametrize(
    ("text", "cpus"),
    [
        ("max 100000", 8),
        ("400000 100000", 4),
        ("50000 100000", 1),
        ("150000 100000", 2),
        ("200000 50000", 4),
        ("250000", 3),  # the period that is left out is 100000
        ("1600000 100000", 8),  # more than there are
        ("1000 100000", 1),
        ("", 8),
        ("nonsense 100000", 8),
        ("100000 0", 8),
        ("0 100000", 8),  # the kernel refuses it: nothing could run
        ("-1 100000", 8),
    ],
)
def test_a_quota_of_version_2_is_rounded_up(machine, text, cpus):
    granted(machine.belongs("0::/job") / "job", text)
    assert machine.cpus() == cpus


@pytest.mark.parametrize(
    ("quota", "period", "cpus"),
    [(-1, 100000, 8), (250000, 100000, 3), (5000, 100000, 1), (100000, 50000, 2)],
)
def test_a_quota_of_version_1_is_rounded_up(machine, quota, period, cpus):
    mount = machine.belongs("4:cpu,cpuacct:/job", kind="cgroup", options="rw,cpu,cpuacct")
    granted_v1(mount / "job", quota, period)
    assert machine.cpus() == cpus


def test_a_group_around_ours_counts_where_it_is_narrower(machine):
    mount = machine.belongs("0::/pod/container/process")
    granted(mount / "pod", "300000 100000")
    granted(mount / "pod" / "container", "max 100000")
    granted(mount / "pod" / "container" / "process", "600000 100000")
    assert machine.cpus() == 3


def test_what_is_mounted_at_a_container_s_own_group_is_read_there(machine):
    mount = machine.belongs("0::/docker/1f2e", root="/docker/1f2e")
    granted(mount, "200000 100000")
    assert machine.cpus() == 2


@pytest.mark.parametrize("path", ["/../other", "/kubepods/another"])
def test_a_group_that_the_mount_does_not_show_leaves_the_mount_s_own(machine, path):
    mount = machine.belongs(f"0::{path}", root="/docker/1f2e")
    granted(mount, "200000 100000")
    assert machine.cpus() == 2


def test_nothing_above_the_mount_is_read(machine):
    mount = machine.belongs("0::/")
    granted(mount.parent, "100000 100000")
    assert machine.cpus() == 8


def test_of_both_versions_the_narrower_counts(machine):
    unified = machine.belongs("0::/")
    granted(unified, "500000 100000")
    granted_v1(machine.belongs("4:cpu:/", kind="cgroup", options="rw,cpu"), 400000, 100000)
    assert machine.cpus() == 4


def test_a_hierarchy_of_version_1_without_the_cpu_controller_says_nothing(machine):
    mount = machine.belongs("4:memory:/", kind="cgroup", options="rw,memory")
    granted_v1(mount, 100000, 100000)
    assert machine.cpus() == 8


def test_the_affinity_counts_where_it_is_narrower(machine, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3})
    granted(machine.belongs("0::/"), "400000 100000")
    assert machine.cpus() == 1


def test_a_mount_point_with_a_space_is_found():
    mounts = r"31 24 0:27 / /sys/fs/my\040groups rw - cgroup2 cgroup2 rw"
    assert [str(group.path) for group in groups("0::/a", mounts)] == ["/sys/fs/my groups/a"]


@given(MICROSECONDS, MICROSECONDS)
def test_both_versions_read_the_same_share(quota, period):
    share = v2_quota(f"{quota} {period}\n")
    assert share == v1_quota(f"{quota}\n", f"{period}\n") == quota / period


@given(st.text(max_size=80), st.text(max_size=200))
def test_no_text_of_procfs_breaks_the_reading(membership, mounts):
    for group in groups(membership, mounts):
        assert group.path.is_relative_to(group.mount)


@given(st.text(max_size=30))
def test_no_text_of_a_group_is_more_than_a_quota_or_none(text):
    for quota in (v2_quota(text), v1_quota(text, "100000")):
        assert quota is None or ceil(quota) >= 1


@given(st.lists(st.sampled_from(["a", "b.slice", "..", "é"]), max_size=4))
def test_a_group_is_never_looked_for_outside_its_mount(parts):
    [group] = groups(f"0::/{'/'.join(parts)}", "1 1 0:1 / /sys/fs/cgroup rw - cgroup2 none rw")
    assert group.mount == PurePosixPath("/sys/fs/cgroup")
    assert Path(group.path).resolve().is_relative_to(Path(group.mount).resolve())


# --- int8 ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cpu", "expected"),
    [
        ("GenuineIntel/6/85 avx512f avx512_vnni", True),
        ("GenuineIntel/6/183 avx2 avx_vnni", True),
        ("GenuineIntel/6/143 amx_int8 amx_tile", True),
        ("AuthenticAMD/25/1 avx avx2 fma", False),
        ("", False),
    ],
)
def test_int8_is_quick_where_the_cpu_multiplies_it_at_once(cpu, expected):
    assert has_int8_instructions(cpu) == expected
