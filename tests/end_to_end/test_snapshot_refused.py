"""Snapshots that cannot be woken: `snapshot run` says why and ends, `serve` says why and boots."""

import re
import shutil
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from rookery.snapshots import manifest
from snapshot_processes import (
    BOOTING,
    LISTENING,
    TWIN,
    ask,
    children,
    command,
    created,
    for_criu,
    probabilities,
    program,
    retold,
)

_PAGE = 4096
_USAGE, _LATER, _FINAL = 2, 69, 78  # sysexits(3), but for the first


@pytest.fixture(scope="module")
def environment(environ, criu):
    return {**environ, "ROOKERY_CRIU": criu, "ROOKERY_HOOK_SECONDS": "2"}


@pytest.fixture(scope="module")
def snapshot(environment, tmp_path_factory):
    return created(TWIN, tmp_path_factory.mktemp("snapshots") / "twin", environment)


# --- what is wrong with a folder --------------------------------------------------------------


def _replace(file, data):
    """Write anew, because the files of a copy are those of the snapshot itself."""
    file.unlink()
    file.write_bytes(data)


def torn(name, count=_PAGE):
    def change(snapshot, copy):
        data = (retold(snapshot, copy) / name).read_bytes()
        _replace(copy / name, data[:-count])

    return change


def flipped(name, position=0.5):
    def change(snapshot, copy):
        data = bytearray((retold(snapshot, copy) / name).read_bytes())
        data[int(len(data) * position)] ^= 1
        _replace(copy / name, data)

    return change


def without(name):
    return lambda snapshot, copy: (retold(snapshot, copy) / name).unlink()


def describing(**facts):
    def change(content):
        content["facts"].update(facts)

    return lambda snapshot, copy: retold(snapshot, copy, change)


def of_format(number):
    def change(content):
        content["format"] = number

    return lambda snapshot, copy: retold(snapshot, copy, change)


def written(text):
    def change(snapshot, copy):
        _replace(retold(snapshot, copy) / manifest.NAME, text.encode())

    return change


FOLDERS = {
    "missing": (lambda *_: None, r"is no snapshot: manifest\.json cannot be read: No such"),
    "empty": (lambda _, copy: copy.mkdir(), r"is no snapshot: manifest\.json cannot be read: No"),
    "a file": (lambda _, copy: copy.touch(), r"is no snapshot: manifest\.json .* Not a directory"),
    "unfinished": (without(manifest.NAME), r"is no snapshot: .*; make one with: rookery snapshot"),
    "manifest torn": (torn(manifest.NAME, 100), r"manifest\.json is damaged"),
    "manifest changed": (flipped(manifest.NAME), r"manifest\.json is damaged"),
    "manifest empty": (written(""), r"manifest\.json is damaged"),
    "manifest a list": (written("[]"), r"manifest\.json is damaged"),
    "manifest empty object": (written("{}"), r"manifest\.json is damaged"),
    "another format": (of_format(99), r"is a snapshot of format 99, not \d"),
    "memory torn": (torn(manifest.MEMORY), r"memory is damaged: [\d,]+ bytes instead of"),
    "memory changed": (flipped(manifest.MEMORY), r"memory is damaged: its checksum is wrong"),
    "memory missing": (without(manifest.MEMORY), r"memory is damaged: No such file"),
    "pages torn": (torn("pages-1.img"), r"pages-1\.img is damaged: [\d,]+ bytes instead of"),
    "pages changed": (flipped("pages-1.img"), r"pages-1\.img is damaged: its checksum is wrong"),
    "last page changed": (flipped("pages-1.img", 0.9999), r"pages-1\.img is damaged"),
    "image torn": (torn("mm-1.img", 1), r"mm-1\.img is damaged: [\d,]+ bytes instead of"),
    "image changed": (flipped("core-1.img"), r"core-1\.img is damaged: its checksum is wrong"),
    "image missing": (without("pstree.img"), r"pstree\.img is damaged: No such file"),
    "another CPU": (describing(cpu="x/1/2 sse"), r"does not fit: the CPU is of another kind \("),
    "another kernel": (describing(kernel="Linux 2.6"), r"the kernel was Linux 2\.6, here it is"),
    "another CRIU": (describing(criu="0"), r"CRIU is another program than the one that made"),
    "another code": (describing(code="0"), r"Rookery's own code has changed"),
    "another library": (describing(libraries="numpy-1.0"), r"other libraries are .*numpy-1\.0"),
    "another Python": (describing(python="cpython 2.7"), r"Python was cpython 2\.7, here it is"),
}


@pytest.mark.parametrize("name", [name for name in FOLDERS if name != "a file"])
def test_run_refuses_a_folder_that_is_no_whole_snapshot(run, snapshot, tmp_path, name):
    change, reason = FOLDERS[name]
    change(snapshot, tmp_path / "copy")

    said = run(tmp_path / "copy", status=_FINAL)

    assert re.search(reason, said), said


def test_run_refuses_a_file(run, tmp_path):
    (tmp_path / "file").touch()

    assert "is a file" in run(tmp_path / "file", status=_USAGE)


# Of each kind one: those that never start CRIU, and those found while CRIU restores.
@pytest.mark.parametrize("name", ["empty", "a file", "memory changed", "another library"])
def test_serve_boots_beside_a_folder_that_is_no_whole_snapshot(serve, snapshot, tmp_path, name):
    change, reason = FOLDERS[name]
    change(snapshot, tmp_path / "copy")

    said = serve(tmp_path / "copy")

    assert re.search(reason, said), said


# --- what is wrong with where it is woken -----------------------------------------------------


@dataclass(frozen=True)
class Place:
    """A whole snapshot, a folder of one's own, and the CRIU that made it."""

    snapshot: Path
    folder: Path
    criu: str

    def with_criu(self, *lines):
        """Return a copy that says it was made by another CRIU, and the name of that one."""
        other = program(self.folder / "criu", *lines)
        return for_criu(self.snapshot, self.folder / "copy", other), {"ROOKERY_CRIU": str(other)}


@pytest.fixture
def place(snapshot, tmp_path, criu):
    return Place(snapshot, tmp_path, criu)


def told(**env):
    return lambda place: (place.snapshot, env)


def with_criu(*lines):
    return lambda place: place.with_criu(
        *(line.replace("CRIU", f'"{place.criu}"') for line in lines)
    )


def with_criu_of_another_machine(place):
    folder, env = place.with_criu()
    Path(env["ROOKERY_CRIU"]).write_bytes(b"\x7fELF\2")
    return for_criu(folder, place.folder / "again", Path(env["ROOKERY_CRIU"])), env


PLACES = {
    "another top k": (
        told(ROOKERY_TOP_K="3"), _LATER, r"refused to serve: .* ROOKERY_TOP_K is 3, it was 5",
    ),
    "another backend": (
        told(ROOKERY_BACKEND="openvino"), _LATER, r"ROOKERY_BACKEND is openvino, it was fixed",
    ),
    "a hook that raises": (
        told(TWIN_HOOK="raises"), _LATER, r"_fail_or_hang .* RuntimeError: the hook of a test",
    ),
    "a hook that hangs": (
        told(TWIN_HOOK="hangs"), _LATER, r"_fail_or_hang .* running when the 2 s for all",
    ),
    "a wrong setting": (
        told(ROOKERY_QUEUE="many"), _LATER, r"(?s)refused to serve: .*ROOKERY_QUEUE",
    ),
    "no CRIU": (
        told(ROOKERY_CRIU="/nowhere/criu"), _FINAL, r"ROOKERY_CRIU=/nowhere/criu is no program",
    ),
    "CRIU fails": (
        with_criu("exit 1"), _LATER, r"CRIU cannot restore .*: CRIU gave no reason",
    ),
    "CRIU finds no memory": (
        with_criu(
            'for one; do shift; case "$one" in *:rookery/memory) one="${one}-gone"; esac',
            'set -- "$@" "$one"; done',
            'CRIU "$@"',
        ),
        _LATER, r"CRIU cannot restore .*rookery/memory",
    ),
    "CRIU is killed": (
        with_criu("kill -9 $$"), _LATER, r"CRIU cannot restore .*",
    ),
    "CRIU fails at the end": (
        with_criu('CRIU "$@"', "exit 1"), _LATER, r"CRIU cannot restore .*",
    ),
    "CRIU restores nothing": (
        with_criu("exit 0"), _LATER, r"CRIU ended well, but has restored nothing",
    ),
    "CRIU is of another machine": (
        with_criu_of_another_machine, _LATER, r"criu cannot be run: Exec format error",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", PLACES)
def test_run_refuses_to_wake_a_snapshot_where_it_cannot(run, place, name):
    prepare, status, reason = PLACES[name]
    folder, env = prepare(place)

    said = run(folder, status=status, **env)

    assert re.search(reason, said), said


@pytest.mark.parametrize(
    "name", ["a hook that raises", "a hook that hangs", "no CRIU", "CRIU fails"]
)
def test_serve_boots_where_a_snapshot_cannot_be_woken(serve, place, name):
    prepare, _, reason = PLACES[name]
    folder, env = prepare(place)

    said = serve(folder, **env)

    assert re.search(reason, said), said


@pytest.mark.parametrize(
    ("env", "reason"),
    [
        ({"ROOKERY_TOP_K": "1"}, r"ROOKERY_TOP_K is 1, it was 5"),
        ({"ROOKERY_MODEL": "macaws"}, r"model is macaws/1 \(\w+\), it was penguins/1 \(\w+\)"),
    ],
    ids=["top k", "model"],
)
def test_serve_boots_with_what_it_is_told_now(serve, two_models, snapshot, env, reason):
    said = serve(snapshot, **two_models, **env)

    assert re.search(reason, said), said


# --- how -------------------------------------------------------------------------------------


@pytest.fixture
def own(tmp_path):
    """The temporary folder of a launcher, which must be empty again afterwards."""
    folder = tmp_path / "own"
    folder.mkdir()
    yield folder
    assert list(folder.iterdir()) == []


@pytest.fixture
def run(launch, environment, own):
    """Run `snapshot run` to its end; return what it said."""

    def run_it(folder, *, status, **env):
        arguments = command("snapshot", "run", str(folder))
        with launch(arguments, {**environment, "TMPDIR": str(own), **env}) as launched:
            assert launched.ends() == status, launched.text
        assert "listening" not in launched.text
        assert "Traceback" not in launched.text
        return launched.text

    return run_it


@pytest.fixture
def serve(launch, environment, own, answer, jpeg):
    """Run `serve --snapshot`, which must boot and answer; return why it says it does."""

    def serve_it(folder, **env):
        arguments = command("serve", str(TWIN), "--snapshot", str(folder))
        with launch(arguments, {**environment, "TMPDIR": str(own), **env}) as launched:
            status, body = ask(launched.said(LISTENING)[1], body=jpeg)
            assert status == 200, launched.text
            assert probabilities(body) == answer(**env)
            assert children(launched.process.pid) == []
        (reason,) = re.findall(BOOTING, launched.text, re.MULTILINE)
        assert "Traceback" not in launched.text
        return reason

    return serve_it


@pytest.fixture(scope="module")
def answer(launch, environment, jpeg):
    """What a function answers that has never heard of snapshots."""

    @cache
    def answer_of(**env):
        with launch(command("serve", str(TWIN)), {**environment, **env}) as cold:
            return probabilities(ask(cold.said(LISTENING)[1], body=jpeg)[1])

    return answer_of


@pytest.fixture(scope="module")
def two_models(environment, tmp_path_factory):
    """A home with a second model."""
    home = tmp_path_factory.mktemp("two") / "home"
    shutil.copytree(Path(environment["ROOKERY_HOME"]), home)
    models = home / "models"
    shutil.copytree(models / "penguins", models / "macaws")
    for file in (models / "macaws").rglob("*.json"):
        file.write_text(file.read_text().replace('"penguins"', '"macaws"'))
    return {"ROOKERY_HOME": str(home)}
