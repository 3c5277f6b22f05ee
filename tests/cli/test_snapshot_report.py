import json
import os

import pytest
from click.testing import CliRunner

from rookery.cli.root import exit_code, root
from rookery.errors import SnapshotFailed, SnapshotInvalid
from rookery.snapshots import machine as machine_module
from rookery.snapshots import manifest, trial
from rookery.snapshots.facts import facts
from rookery.snapshots.machine import Machine

GOOD = Machine(kernel="6.18.44", program="/opt/criu", version="4.1.1")
FOUND_BY_TRIAL = "ok       trial           a tiny process was snapshotted and woken: it works here"


def invoke(*arguments):
    return CliRunner().invoke(root, ["snapshot", *map(str, arguments)])


@pytest.fixture
def machine(monkeypatch):
    """Makes `check` see this machine, on which a trial fails with this."""

    def machine(seen=GOOD, failure=None):
        def attempt(program, *, on_line):
            assert program == seen.program
            on_line("the donor speaks")
            if failure:
                raise SnapshotFailed(failure)

        monkeypatch.setattr(machine_module, "look", lambda *_: seen)
        monkeypatch.setattr(trial, "attempt", attempt)

    return machine


def test_a_machine_that_can_do_it_passes_the_check(machine):
    machine()
    shown = invoke("check")
    assert shown.exit_code == 0
    assert "ok       kernel          Linux 6.18.44\n" in shown.output
    assert shown.output.splitlines()[-1] == FOUND_BY_TRIAL


def test_what_is_missing_is_named_with_what_to_do(machine):
    machine(Machine(kernel="6.1", problem="CRIU is nowhere"))
    shown = invoke("check")
    assert exit_code(shown.exception) == 78
    assert "missing: CRIU" in str(shown.exception)
    assert "missing  CRIU            CRIU is nowhere\n" in shown.output
    assert "-> install CRIU 4.1 or newer with: scripts/install-criu" in shown.output


def test_a_trial_that_fails_for_no_reason_we_know_says_its_own(machine):
    machine(failure="the disk is on fire")
    shown = invoke("check")
    assert exit_code(shown.exception) == 69
    assert "missing  trial           the donor speaks; the disk is on fire\n" in shown.output


def test_a_trial_that_works_overrules_what_seemed_missing(machine):
    machine(Machine(kernel="6.1", program="/opt/criu", version="4.1.1", complaint="no dirty bits"))
    shown = invoke("check")
    assert shown.exit_code == 0
    assert "missing " not in shown.output
    assert "no dirty bits; the trial worked all the same" in shown.output


@pytest.mark.parametrize(("failure", "works"), [(None, True), ("no", False)])
def test_the_check_is_json_for_programs(machine, failure, works):
    machine(failure=failure)
    document = json.loads(invoke("check", "--json").output)
    assert document["works"] is works
    assert document["findings"][0] == {
        "name": "kernel", "state": "ok", "said": "Linux 6.18.44", "todo": "",
    }  # fmt: skip
    assert document["findings"][-1]["name"] == "trial"


@pytest.fixture
def snapshot(tmp_path, monkeypatch):
    program = tmp_path / "criu"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("ROOKERY_CRIU", str(program))
    directory = tmp_path / "snapshot"
    directory.mkdir()
    for name in ("core-1.img", "core-2.img", "memory"):
        (directory / name).write_bytes(name.encode() * 1000)

    def snapshot(**changed):
        described = manifest.Manifest(
            function="classify",
            folder="/functions/classify",
            made="2026-11-21T18:00:00Z",
            facts=facts(str(program)) | changed,
            frozen={"model": "resnet50/1", "ROOKERY_BACKEND": "openvino"},
            pipes={},
            sizes={"mapped": 130_000_000, "copied": 7_000_000, "areas": 3},
            files=manifest.sums(str(directory)),
        )
        manifest.write(str(directory), described)
        return directory

    return snapshot


def test_a_snapshot_is_described(snapshot):
    shown = invoke("inspect", snapshot())
    assert shown.exit_code == 0
    for line in (
        "function         classify, /functions/classify",
        "made             2026-11-21T18:00:00Z",
        "model            resnet50/1",
        "ROOKERY_BACKEND  openvino",
        "memory           130.0 MB mapped when it wakes, 7.0 MB copied",
        "threads          2",
    ):
        assert f"  {line}\n" in shown.output


def test_a_snapshot_of_here_fits_here(snapshot):
    shown = invoke("inspect", snapshot())
    assert "differs" not in shown.output
    assert shown.output.splitlines()[-1] == "files: whole; it fits here"


def test_what_does_not_fit_is_named_and_no_failure(snapshot):
    shown = invoke("inspect", snapshot(kernel="Linux 3.0"))
    assert shown.exit_code == 0
    assert "differs  kernel          the kernel was Linux 3.0, here it is" in shown.output
    assert "it does not fit here" in shown.output.splitlines()[-1]


def test_without_criu_a_snapshot_can_still_be_looked_into(snapshot, monkeypatch):
    directory = snapshot()
    monkeypatch.setenv("ROOKERY_CRIU", "/no/such/criu")
    assert "differs  criu " in invoke("inspect", directory).output


@pytest.mark.parametrize("damage", [b"other", b"x" * 6000])
def test_a_damaged_snapshot_is_an_error_after_its_description(snapshot, damage):
    directory = snapshot()
    (directory / "memory").write_bytes(damage)
    shown = invoke("inspect", directory)
    assert isinstance(shown.exception, SnapshotInvalid)
    assert "memory is damaged" in str(shown.exception)
    assert "model            resnet50/1" in shown.output


def test_checksums_can_be_left_alone(snapshot):
    directory = snapshot()
    (directory / "memory").write_bytes(b"other")
    shown = invoke("inspect", directory, "--no-verify")
    assert shown.exit_code == 0
    assert shown.output.splitlines()[-1] == "files: not checked; it fits here"


def test_a_snapshot_is_json_for_programs(snapshot):
    directory = snapshot(kernel="Linux 3.0")
    document = json.loads(invoke("inspect", directory, "--json").output)
    release = os.uname().release
    assert document["function"] == "classify"
    assert document["threads"] == 2
    assert document["fits"] is False
    assert list(document["changed"]) == ["kernel"]
    assert release in document["changed"]["kernel"]
    assert (document["verified"], document["damage"]) == (True, None)


def test_the_damage_is_in_the_json_too(snapshot):
    directory = snapshot()
    (directory / "memory").unlink()
    shown = invoke("inspect", directory, "--json")
    assert isinstance(shown.exception, SnapshotInvalid)
    document = json.loads(shown.stdout)
    assert document["fits"] is False
    assert "memory is damaged" in document["damage"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "is no snapshot"),
        (b"", "damaged"),
        (b"[]", "damaged"),
        (b'{"format": 99}', "format 99"),
        (b'{"format": 1, "function": "x"}', "damaged"),
    ],
)
def test_a_folder_that_is_no_snapshot_says_what_is_wrong(tmp_path, content, said):
    if content is not None:
        (tmp_path / manifest.NAME).write_bytes(content)
    shown = invoke("inspect", tmp_path)
    assert isinstance(shown.exception, SnapshotInvalid)
    assert said in str(shown.exception)
    assert exit_code(shown.exception) == 78
