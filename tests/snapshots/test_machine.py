from pathlib import Path

import pytest

from rookery.snapshots.machine import look

STATUS = "Name:\tpython\nCapEff:\t00000000a80425fb\nSeccomp:\t2\n"
MOUNTS = "overlay / overlay rw 0 0\ntmpfs /run tmpfs rw 0 0\n"


def write(root, files):
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


@pytest.fixture
def root(tmp_path):
    root = tmp_path / "root"
    root.mkdir()
    return root


@pytest.fixture
def see(tmp_path, root):
    def see(files=None, **environ):
        write(root, files or {})
        return look({"PATH": "/no/such/folder", **environ}, tmp_path / "new", root=root)

    return see


@pytest.fixture
def criu(tmp_path):
    """Makes a program that says *version*, and *check* when it is asked to check."""

    def criu(version, check):
        program = tmp_path / "criu"
        program.write_text(
            f'#!/bin/sh\nif [ "$1" = check ]; then echo "{check}"; else echo "{version}"; fi\n'
        )
        program.chmod(0o755)
        return str(program)

    return criu


def test_nothing_readable_is_no_failure(see):
    seen = see()
    assert (seen.kernel, seen.container, seen.ptrace_scope, seen.huge_pages) == ("",) + (None,) * 3


@pytest.mark.parametrize(
    ("name", "text", "field", "value"),
    [
        ("proc/sys/kernel/osrelease", "6.1.0\n", "kernel", "6.1.0"),
        ("proc/self/status", STATUS, "capabilities", 0xA80425FB),
        ("proc/self/status", STATUS, "seccomp", True),
        ("proc/self/uid_map", "         0          0 4294967295\n", "mapped_users", False),
        ("proc/self/uid_map", "         0       1000          1\n", "mapped_users", True),
        ("proc/self/mounts", MOUNTS, "kernel_known", True),
        ("proc/self/mounts", "overlay / overlay rw 0 0\n", "kernel_known", False),
        ("run/criu.kdat", "", "kernel_known", True),
        ("proc/sys/user/max_pid_namespaces", "0\n", "pid_namespaces", 0),
        ("proc/sys/kernel/yama/ptrace_scope", "1\n", "ptrace_scope", 1),
        ("proc/sys/kernel/io_uring_disabled", "2\n", "io_uring_disabled", 2),
        ("proc/sys/kernel/io_uring_disabled", "off\n", "io_uring_disabled", None),
        (
            "sys/kernel/mm/transparent_hugepage/enabled",
            "always [madvise] never\n",
            "huge_pages",
            "madvise",
        ),
        (".dockerenv", "", "container", "Docker"),
        ("run/.containerenv", "", "container", "Podman"),
        ("proc/gvisor/checkpoint", "", "gvisor", True),
    ],
)
def test_what_the_system_says_is_read(see, name, text, field, value):
    assert getattr(see({name: text}), field) == value


def test_the_room_is_that_of_the_folder_that_will_hold_the_snapshot(see):
    assert (see().free_bytes or 0) > 0


def test_without_criu_the_reason_is_kept(see):
    seen = see(ROOKERY_CRIU="/no/such/criu")
    assert seen.program == ""
    assert "/no/such/criu" in seen.problem


def test_criu_is_asked_for_its_version_and_what_it_misses(see, criu):
    program = criu("Version: 4.1.1", "Error (criu/cr-check.c:8): kernel misses something")
    seen = see(ROOKERY_CRIU=program)
    assert (seen.program, seen.version) == (program, "4.1.1")
    assert seen.complaint == "kernel misses something"


def test_a_content_criu_has_no_complaint(see, criu):
    assert not see(ROOKERY_CRIU=criu("Version: 4.1.1", "Looks good.")).complaint


@pytest.mark.parametrize("said", ["", "not found"])
def test_a_program_that_is_no_criu_has_no_version(see, criu, said):
    assert see(ROOKERY_CRIU=criu(said, said)).version is None


def test_a_program_that_cannot_be_run_has_no_version(see, tmp_path):
    broken = tmp_path / "criu"
    broken.write_text("#!/no/such/shell\n")
    broken.chmod(0o755)
    assert see(ROOKERY_CRIU=str(broken)).version is None


def test_the_folder_of_an_agent_is_noticed_where_it_is_configured(see, tmp_path):
    assert see(SNAPSHOT_CONTROL_DIR=str(tmp_path)).control_dir == tmp_path


def test_the_folder_of_an_agent_is_noticed_where_agents_put_it(see, root):
    (root / "snapshot-control").mkdir()
    assert see().control_dir == root / "snapshot-control"


def test_this_machine_can_be_looked_at(tmp_path):
    seen = look({}, tmp_path, root=Path("/"))
    assert seen.kernel
    assert seen.free_bytes
