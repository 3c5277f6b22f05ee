"""Making a snapshot, with a stand-in for CRIU; tests/end_to_end has the real one."""

import errno
import os
import stat
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from dumps import Kind, Memory, write_dump
from rookery.errors import SnapshotFailed, SnapshotInvalid, SnapshotUnsafe
from rookery.snapshots import create as module
from rookery.snapshots import criu, manifest
from rookery.snapshots.create import Plan, create, require_replaceable
from rookery.snapshots.donor import Donor
from rookery.snapshots.images import PAGE

PIPES = {stream: f"pipe:[{number}]" for number, stream in enumerate(criu.STREAMS)}
SECRET = "open-sesame"

# Dumps what lies in a folder, and then does what the test wants.
CRIU = """#!/bin/sh
[ "$1" = dump ] || exit 0
for one; do case "$one" in --images-dir=*) into="${{one#*=}}" ;; esac; done
cp {dump}/* "$into"
{then}
"""


@pytest.fixture
def donors(monkeypatch):
    """What donors were started with; none of them is a process."""
    started = []

    @contextmanager
    def run(command, environ, on_line):
        started.append((command, environ))
        on_line("loading")
        yield Donor(os.getpid(), PIPES)

    monkeypatch.setattr(module, "run_donor", run)
    return started


@pytest.fixture
def dump(tmp_path):
    """The dump of a process with 64 pages in a row, and a secret across two of them."""
    folder = tmp_path / "dump"
    folder.mkdir()
    data = bytearray(os.urandom(64 * PAGE))
    data[PAGE - 5 : PAGE - 5 + len(SECRET)] = SECRET.encode()
    pages = {0x10000 + at: bytes(data[at : at + PAGE]) for at in range(0, 64 * PAGE, PAGE)}
    write_dump(folder, [Memory(0x10000, 0x10000 + 64 * PAGE, Kind(), pages)])
    return folder


@pytest.fixture
def plan(donors, dump, tmp_path):
    """Plan a snapshot with a CRIU that, having dumped, runs these lines of shell."""
    assert donors == []

    def make(then="", **secrets):
        program = tmp_path / "criu"
        program.write_text(CRIU.format(dump=dump, then=then))
        program.chmod(0o755)
        return Plan(
            function="classify",
            folder=Path("/functions/classify"),
            command=("rookery", "serve"),
            environ={"PATH": "/bin"},
            frozen={"ROOKERY_TOP_K": "5"},
            secrets=secrets,
            program=str(program),
        )

    return make


@pytest.fixture
def wanted(tmp_path):
    """The directory to make; its parent holds nothing else."""
    (tmp_path / "made").mkdir()
    return tmp_path / "made" / "snapshot"


def ignored(line):
    assert line == "loading"


def beside(wanted):
    return sorted(path.name for path in wanted.parent.iterdir())


def verified(directory):
    described = manifest.read(str(directory))
    manifest.verify_small(str(directory), described)
    manifest.verify_big(str(directory), described)
    return described


# --- what is made --------------------------------------------------------------------------


def test_a_snapshot_is_described_and_in_order(plan, wanted, donors):
    made = create(plan(), wanted, on_line=ignored)
    described = verified(wanted)
    assert (described.function, described.folder) == ("classify", "/functions/classify")
    assert (described.frozen, described.pipes) == ({"ROOKERY_TOP_K": "5"}, PIPES)
    assert described.sizes == {"mapped": 64 * PAGE, "copied": 0, "areas": made.layout.areas}
    assert set(described.files) == {path.name for path in wanted.iterdir()} - {manifest.NAME}
    assert donors == [(("rookery", "serve"), {"PATH": "/bin"})]


def test_only_its_owner_may_look_into_it(plan, wanted):
    create(plan("chmod 644 ${into:?}/*"), wanted, on_line=ignored)
    modes = {stat.S_IMODE(path.stat().st_mode) for path in wanted.iterdir()}
    assert (modes, stat.S_IMODE(wanted.stat().st_mode)) == ({0o600}, 0o700)


def test_its_files_are_born_private(plan, wanted):
    create(plan('test "$(umask)" = 0077'), wanted, on_line=ignored)


def test_the_log_of_criu_is_no_part_of_it(plan, wanted):
    create(plan("echo fine > ${into:?}/dump.log"), wanted, on_line=ignored)
    assert not (wanted / "dump.log").exists()


def test_folders_above_it_are_made(plan, wanted):
    create(plan(), wanted / "deep" / "down", on_line=ignored)
    verified(wanted / "deep" / "down")


@pytest.mark.parametrize("times", [1, 2])
def test_an_older_snapshot_is_replaced(plan, wanted, times):
    for _ in range(times):
        create(plan(), wanted, on_line=ignored)
        (wanted / "older").touch()
    create(plan(), wanted, on_line=ignored)
    assert not (wanted / "older").exists()
    assert beside(wanted) == ["snapshot"]


def test_where_a_link_leads_to_is_replaced(plan, wanted):
    create(plan(), wanted, on_line=ignored)
    (wanted / "older").touch()
    link = wanted.with_name("link")
    link.symlink_to(wanted)
    create(plan(), link, on_line=ignored)
    assert link.is_symlink()
    assert not (wanted / "older").exists()
    assert beside(wanted) == ["link", "snapshot"]


def test_a_file_that_memory_is_mapped_from_is_described_as_well(plan, wanted, dump, tmp_path):
    weights = tmp_path / "weights.bin"
    weights.write_bytes(bytes(2 * PAGE))
    mapped = Kind(prot=1, flags=2, status=0x41, file=7)
    area = Memory(0x10000, 0x10000 + 2 * PAGE, mapped, {})
    write_dump(dump, [area], library=str(weights))
    create(plan(), wanted, on_line=ignored)
    assert str(weights) in verified(wanted).files
    weights.write_bytes(bytes(2 * PAGE - 1) + b"1")
    with pytest.raises(SnapshotInvalid, match=f"{weights} has changed since the snapshot was made"):
        verified(wanted)


def test_values_that_are_not_in_it_are_no_leak(plan, wanted):
    create(plan(S3_SECRET_KEY="another sesame"), wanted, on_line=ignored)
    verified(wanted)


# --- when it fails -------------------------------------------------------------------------


FAILURES = {
    "a reason in the log": (
        """echo "(0.1) Error (criu/sk-inet.c:188): inet: Connected TCP socket" > ${into:?}/dump.log
        echo "(0.2) Error (criu/cr-dump.c:2): Dumping FAILED." >> ${into:?}/dump.log; exit 1""",
        SnapshotFailed,
        "CRIU cannot dump the function: inet: Connected TCP socket; `rookery snapshot check` says",
    ),
    "a reason on standard error": (
        'echo "Error (criu/x.c:1): You need to be root" >&2; exit 1',
        SnapshotFailed,
        "CRIU cannot dump the function: You need to be root;",
    ),
    "no reason": ("exit 1", SnapshotFailed, "CRIU cannot dump the function: CRIU gave no reason;"),
    "killed": ("kill -KILL $$", SnapshotFailed, "CRIU cannot dump the function"),
    "a dump that is none": ("rm ${into:?}/*", SnapshotFailed, "pstree.img"),
    "a dump that is torn": ("echo > ${into:?}/mm-1.img", SnapshotFailed, "is not understood"),
}


@pytest.mark.parametrize("older", [False, True], ids=["new", "replaced"])
@pytest.mark.parametrize("name", FAILURES)
def test_of_a_dump_that_fails_nothing_is_left(plan, wanted, name, older):
    then, error, message = FAILURES[name]
    if older:
        create(plan(), wanted, on_line=ignored)
    with pytest.raises(error) as raised:
        create(plan(then), wanted, on_line=ignored)
    assert message in str(raised.value)
    assert beside(wanted) == (["snapshot"] if older else [])
    if older:
        verified(wanted)


def test_a_criu_that_cannot_be_run_is_named(plan, wanted):
    made = plan()
    Path(made.program).chmod(0o644)
    with pytest.raises(SnapshotFailed, match=f"{made.program} cannot be run: Permission denied"):
        create(made, wanted, on_line=ignored)
    assert beside(wanted) == []


def test_a_secret_in_its_memory_is_named_and_nothing_is_left(plan, wanted):
    with pytest.raises(SnapshotUnsafe, match="the value of S3_SECRET_KEY, in its memory") as raised:
        create(plan(S3_SECRET_KEY=SECRET, A="not there"), wanted, on_line=ignored)
    assert SECRET not in str(raised.value)
    assert beside(wanted) == []


def test_a_secret_of_aws_files_in_its_memory_is_named(plan, wanted, tmp_path):
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws" / "credentials").write_text(f"[a]\naws_secret_access_key = {SECRET}\n")
    made = plan()
    made = replace(made, environ={**made.environ, "HOME": str(tmp_path)})
    with pytest.raises(SnapshotUnsafe, match=r"aws_secret_access_key in line 2 of .*credentials"):
        create(made, wanted, on_line=ignored)
    assert beside(wanted) == []


def test_what_to_do_about_a_value_in_its_memory_is_said(plan, wanted):
    with pytest.raises(SnapshotUnsafe, match="unset it while the snapshot is made"):
        create(plan(S3_ACCESS_KEY=SECRET), wanted, on_line=ignored)


NO_SPACE = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize(
    ("failure", "error"),
    [
        (NO_SPACE, SnapshotFailed),
        (SnapshotFailed("no donor"), SnapshotFailed),
        (KeyboardInterrupt(), KeyboardInterrupt),
    ],
    ids=["disk full", "donor", "interrupt"],
)
@pytest.mark.parametrize("step", ["run_donor", "lay_out", "facts"])
def test_wherever_it_fails_nothing_is_left(plan, wanted, step, failure, error):
    def fail(*_):
        raise failure

    with pytest.MonkeyPatch.context() as broken:
        broken.setattr(module, step, fail)
        with pytest.raises(error):
            create(plan(), wanted, on_line=ignored)
    assert beside(wanted) == []


def test_a_disk_that_is_full_is_said_with_the_place(plan, wanted, monkeypatch):
    def fail(*_):
        raise NO_SPACE

    monkeypatch.setattr(manifest, "write", fail)
    with pytest.raises(SnapshotFailed, match=f"cannot be written to {wanted}: .*No space left"):
        create(plan(), wanted, on_line=ignored)


def test_a_place_that_cannot_be_written_to_is_named(plan):
    with pytest.raises(SnapshotFailed, match="cannot be written to /dev/null/deep/snapshot: "):
        create(plan(), Path("/dev/null/deep/snapshot"), on_line=ignored)


# --- what may be replaced ------------------------------------------------------------------


def with_files(contents):
    def make(path):
        for name, content in contents.items():
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            (path / name).write_text(content)

    return make


@pytest.mark.parametrize("make", [Path.absolute, Path.mkdir])
def test_nothing_may_be_replaced(tmp_path, make):
    make(tmp_path / "it")
    require_replaceable(tmp_path / "it")


@pytest.mark.parametrize(
    "contents",
    [
        {},
        {manifest.NAME: '{"format": 0, "facts": {}, "sum": ""}'},
        {manifest.NAME: "{", "inventory.img": ""},
        {manifest.MEMORY: ""},
    ],
    ids=["whole", "of another format", "torn", "without pages"],
)
def test_a_snapshot_may_be_replaced_whatever_has_become_of_it(plan, wanted, contents):
    create(plan(), wanted, on_line=ignored)
    for name, content in contents.items():
        (wanted / name).write_text(content)
    require_replaceable(wanted)


WEB_APP = '{"name": "shop", "icons": [], "format": "web"}'


@pytest.mark.parametrize(
    "make",
    [
        Path.touch,
        with_files({"photo.jpg": ""}),
        with_files({".hidden": ""}),
        with_files({manifest.NAME: ""}),
        with_files({manifest.NAME: WEB_APP, "index.html": ""}),
        with_files({manifest.NAME: "[]"}),
        with_files({"inventory.img": ""}),
        with_files({manifest.NAME: "{}", "inventory.img": "", "folder/file": ""}),
    ],
    ids=[
        "a file",
        "a photo",
        "a hidden file",
        "an empty manifest",
        "a web app",
        "a list",
        "a dump of CRIU's",
        "with a folder",
    ],
)
def test_what_is_no_snapshot_is_never_replaced(plan, donors, tmp_path, make):
    make(tmp_path / "it")
    with pytest.raises(SnapshotInvalid, match="it exists and is no snapshot; name a folder that"):
        create(plan(), tmp_path / "it", on_line=ignored)
    assert donors == []
    assert (tmp_path / "it").exists()
