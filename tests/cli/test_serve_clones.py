"""`rookery serve` in a process that is snapshotted: what happens around the snapshot point."""

import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from click.testing import CliRunner

from rookery.assemble import Function
from rookery.cli.root import exit_code, root
from rookery.cli.serve import Options, Plan, parse
from rookery.errors import (
    HookFailed,
    PortTaken,
    SettingsInvalid,
    SnapshotFailed,
    SnapshotMismatch,
    SnapshotUnsafe,
)
from rookery.lifecycle.snapshot import choose, point, renewal
from rookery.lifecycle.snapshot.protocol import Restored

FUNCTIONS = Path(__file__).parents[2] / "functions"
URL = "http://127.0.0.1:8080"
CLASSIFY = ("classify", f"--functions={FUNCTIONS}")


@pytest.fixture(autouse=True)
def nobodys_environment(settings):
    settings()
    before = dict(os.environ)
    yield
    os.environ.clear()  # func.yaml completes it
    os.environ.update(before)


# --- the command line ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "changed"),
    [
        ("classify", {}),
        ("classify --functions=mine", {"root": Path("mine")}),
        ("--host ::1 --port 0 classify", {"host": "::1", "port": 0}),
        ("classify --model a/2 --backend openvino", {"model": "a/2", "backend": "openvino"}),
        ("classify --snapshot made", {"snapshot": "made"}),
        ("classify --snapshot a --snapshot=b", {"snapshot": "b"}),
    ],
)
def test_a_clone_reads_the_command_line_of_its_launcher(line, changed):
    default = dict.fromkeys(("host", "port", "model", "backend", "snapshot"))
    default |= {"function": "classify", "root": Path("functions")}
    assert parse(line.split()) == Options(**(default | changed))


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("", "Missing argument 'FUNCTION'"),
        ("classify --port many", "'many' is not a valid integer"),
        ("classify --bogus", "No such option"),
        ("classify describe", "unexpected extra argument"),
    ],
)
def test_one_that_is_wrong_is_refused_with_what_is_wrong(line, complaint):
    with pytest.raises(SettingsInvalid, match=complaint):
        parse(line.split())


def test_the_command_line_comes_before_the_environment_and_func_yaml_after_it(monkeypatch):
    monkeypatch.setenv("PORT", "9000")
    monkeypatch.setenv("ROOKERY_MODEL", "macaws")
    plan = Plan.read(Options("classify", FUNCTIONS, "::1", None, "penguins", None, None))
    assert (plan.settings.host, plan.settings.port) == ("::1", 9000)
    assert plan.settings.model == "penguins"
    assert plan.settings.s3_buckets == ("images",)


def test_help_says_what_a_snapshot_is_for():
    shown = CliRunner().invoke(root, ["serve", "--help"])
    assert "  rookery serve classify --snapshot snapshot/\n" in shown.output
    assert "Wake this snapshot" in shown.output


# --- around the snapshot point -------------------------------------------------------------


@dataclass
class Scripted:
    """A driver, and all that happened in this process, in order."""

    restored: Restored | Exception | None = None
    name: str = "scripted"
    descriptors: tuple[int, ...] = ()
    events: list[object] = field(default_factory=list)
    data_dir: Path | None = None

    def report(self, refusal):
        self.events.append(("report", refusal))


@pytest.fixture
def serve(monkeypatch):
    """Run `rookery serve` with a driver and a server that only say what was done to them."""

    def snapshot_point(driver, *, secrets, hook_seconds):
        driver.events.append(("point", sorted(secrets), hook_seconds))
        if isinstance(driver.restored, Exception):
            raise driver.restored
        if driver.restored is not None:
            os.environ.update(driver.restored.environ or {})
        return driver.restored

    def run(driver, *, failure=None):
        def listen(function, settings, *, on_listening, application):
            assert application.prepared is not None
            driver.events.append(("serve", function.name, settings.port))
            driver.data_dir = settings.data_dir
            if failure:
                raise failure
            on_listening(URL)

        monkeypatch.setattr(Function, "serve", listen)
        monkeypatch.setattr(choose, "choose", lambda *_: driver)
        return CliRunner().invoke(root, ["serve", *CLASSIFY])

    monkeypatch.setattr(renewal, "register", lambda: None)
    monkeypatch.setattr(point, "snapshot_point", snapshot_point)
    return run


def test_a_function_is_prepared_snapshotted_and_served(serve, monkeypatch):
    monkeypatch.setenv("ROOKERY_HOOK_SECONDS", "3")
    driver = Scripted()
    shown = serve(driver)
    assert shown.output == f"classify listening on {URL}\n"
    assert driver.events == [("point", [], 3.0), ("serve", "classify", 0), ("report", None)]


def test_the_names_of_secrets_that_are_set_are_handed_to_the_check(serve, monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hush")
    driver = Scripted(SnapshotUnsafe(["a socket"]))
    serve(driver)
    assert driver.events[0][1] == ["AWS_SECRET_ACCESS_KEY"]


def test_a_clone_serves_by_the_command_line_it_was_woken_with(serve):
    driver = Scripted(Restored(arguments=(*CLASSIFY, "--port=9123")))
    assert serve(driver).exit_code == 0
    assert ("serve", "classify", 9123) in driver.events


def test_a_clone_that_was_told_nothing_reads_its_environment_again(serve, monkeypatch):
    driver = Scripted(Restored())
    read = Plan.read

    def later(options):
        plan = read(options)
        os.environ["PORT"] = "9124"
        return plan

    monkeypatch.setattr(Plan, "read", later)
    assert serve(driver).exit_code == 0
    assert ("serve", "classify", 9124) in driver.events


@pytest.mark.parametrize(
    ("arguments", "error", "reason"),
    [
        ((*CLASSIFY, "--model=dodo"), "ModelNotFound", "there is no model dodo"),
        (
            (*CLASSIFY, "--backend=openvino"),
            "SnapshotMismatch",
            "ROOKERY_BACKEND is openvino, it was",
        ),
        (("sing",), "FunctionInvalid", "there is no function 'sing'"),
        (("classify", "--port=-1"), "FunctionInvalid", "there is no function 'classify'"),
        ((*CLASSIFY, "--port=-1"), "SettingsInvalid", "PORT"),
        ((), "SettingsInvalid", "Missing argument"),
    ],
)
def test_a_clone_that_cannot_serve_refuses_and_says_why(serve, arguments, error, reason, tmp_path):
    driver = Scripted(Restored(arguments=arguments))
    with pytest.MonkeyPatch.context() as elsewhere:
        elsewhere.chdir(tmp_path)
        shown = serve(driver)
    assert type(shown.exception).__name__ == error
    assert exit_code(shown.exception) == 78
    assert [event[0] for event in driver.events] == ["point", "report"]
    assert reason in driver.events[-1][1]


def test_a_hook_that_fails_at_the_snapshot_point_is_reported(serve):
    failure = HookFailed("the hook")
    driver = Scripted(failure)
    assert serve(driver).exception is failure
    assert driver.events[-1] == ("report", "the hook")


@pytest.mark.parametrize("failure", [SnapshotUnsafe(["a socket"]), SnapshotFailed("no folder")])
def test_a_process_that_cannot_be_snapshotted_serves_all_the_same(serve, caplog, failure):
    driver = Scripted(failure)
    assert serve(driver).exit_code == 0
    assert f"serving without a snapshot: {failure}" in caplog.text
    assert [event[0] for event in driver.events] == ["point", "serve", "report"]


def test_a_clone_reads_the_pictures_of_the_folder_it_was_woken_for(serve, tmp_path):
    copy = tmp_path / "classify"
    shutil.copytree(FUNCTIONS / "classify", copy)
    driver = Scripted(Restored(arguments=(str(copy),)))
    assert serve(driver).exit_code == 0
    assert driver.data_dir == copy / "data"


def test_what_a_library_sets_for_itself_is_not_compared(serve, monkeypatch):
    monkeypatch.delenv("KMP_INIT_AT_FORK", raising=False)  # TensorFlow may be here already
    load = Plan.load

    def importing(plan):
        os.environ["KMP_INIT_AT_FORK"] = "FALSE"  # as TensorFlow does
        return load(plan)

    monkeypatch.setattr(Plan, "load", importing)
    driver = Scripted(Restored(environ={"KMP_INIT_AT_FORK": ""}, arguments=CLASSIFY))
    assert serve(driver).exit_code == 0


def test_what_libraries_compute_by_is_compared(serve):
    driver = Scripted(Restored(environ={"OMP_NUM_THREADS": "1"}, arguments=CLASSIFY))
    assert type(serve(driver).exception) is SnapshotMismatch
    assert "OMP_NUM_THREADS is 1, it was unset" in driver.events[-1][1]


def test_a_port_that_is_taken_is_reported(serve):
    driver = Scripted(Restored(arguments=CLASSIFY))
    failure = PortTaken("cannot listen")
    assert serve(driver, failure=failure).exception is failure
    assert [event for event in driver.events if "report" in event] == [("report", "cannot listen")]
