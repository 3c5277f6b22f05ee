import json
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rookery.snapshots import facts as module
from rookery.snapshots.facts import differences, facts, function_digest

X86 = """\
processor\t: 0
vendor_id\t: GenuineIntel
cpu family\t: 6
model\t\t: 143
model name\t: Some Xeon
flags\t\t: fpu avx2 amx_tile hypervisor ibrs avx512f
bugs\t\t: spectre_v1

processor\t: 1
vendor_id\t: Other
"""
ARM = """\
processor\t: 0
BogoMIPS\t: 243.75
Features\t: sve fp asimd
CPU implementer\t: 0x41
CPU architecture: 8
CPU part\t: 0xd40

processor\t: 1
Features\t: other
"""


@pytest.fixture
def program(tmp_path):
    path = tmp_path / "criu"
    path.write_text("#!/bin/sh\n# criu 4.1.1\n")
    return path


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "greet"
    (folder / "data").mkdir(parents=True)
    (folder / "greet.py").write_text("hello = 1\n")
    (folder / "func.yaml").write_text("name: greet\n")
    (folder / "README.md").write_text("Greets.\n")
    (folder / "data" / "one.jpg").write_bytes(b"one")
    (folder / "data" / "load.py").write_text("one = 1\n")
    (folder / "deep" / "data").mkdir(parents=True)
    (folder / "deep" / "data" / "weights.bin").write_bytes(b"1")
    (folder / "deep" / "data" / "deep.py").write_text("one = 1\n")
    return folder


@pytest.fixture
def path(tmp_path, monkeypatch):
    """A folder that is the whole of sys.path."""
    folder = tmp_path / "site-packages"
    folder.mkdir()
    monkeypatch.setattr(sys, "path", [str(folder)])
    return folder


@pytest.fixture
def own_code(tmp_path, monkeypatch):
    """A folder that is taken for the package's own."""
    folder = tmp_path / "anywhere" / "rookery"
    (folder / "snapshots").mkdir(parents=True)
    monkeypatch.setattr(module, "__file__", str(folder / "snapshots" / "facts.py"))
    (folder / "snapshots" / "facts.py").write_text("one = 1\n")
    return folder


def test_the_key_is_the_same_when_nothing_changed(program):
    assert facts(str(program)) == facts(str(program))


def test_the_key_is_of_texts_that_a_manifest_can_hold(program):
    found = facts(str(program))
    assert set(found) == {"python", "libraries", "code", "cpu", "kernel", "criu"}
    assert json.loads(json.dumps(found)) == found
    assert all(found.values())


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: (folder / "greet.py").write_text("hello = 2\n"),
        lambda folder: (folder / "func.yaml").write_text("name: greet\nrun: {}\n"),
        lambda folder: (folder / "labels.txt").write_text("one\n"),
        lambda folder: (folder / "greet.py").rename(folder / "other.py"),
        lambda folder: (folder / "data" / "load.py").write_text("one = 2\n"),
        lambda folder: (folder / "deep" / "data" / "weights.bin").write_bytes(b"2"),
        lambda folder: (folder / "deep" / "data" / "deep.py").write_text("one = 2\n"),
    ],
)
def test_what_a_function_is_made_of_changes_its_digest(folder, change):
    before = function_digest(str(folder))
    change(folder)
    assert function_digest(str(folder)) != before


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: (folder / "data" / "one.jpg").write_bytes(b"other"),
        lambda folder: (folder / "README.md").write_text("Greets well.\n"),
        lambda folder: (folder / "__pycache__").mkdir(),
        lambda folder: (folder / ".editor").write_text("open"),
    ],
)
def test_what_changes_nothing_of_a_function_leaves_its_digest(folder, change):
    before = function_digest(str(folder))
    change(folder)
    assert function_digest(str(folder)) == before


def test_links_that_have_no_end_are_no_failure(folder):
    (folder / "itself").symlink_to("itself")
    before = function_digest(str(folder))
    for name in ("up", "again"):
        (folder / "deep" / name).symlink_to("..")
    (folder / "elsewhere").symlink_to("no such file")
    assert function_digest(str(folder)) != before


def test_code_behind_a_link_is_in_the_digest(folder, tmp_path):
    shared = tmp_path / "shared"
    shared.mkdir()
    (folder / "library").symlink_to(shared)
    before = function_digest(str(folder))
    (shared / "one.py").write_text("one = 1\n")
    assert function_digest(str(folder)) != before


def test_another_criu_is_noticed(program):
    before = facts(str(program))
    program.write_text("#!/bin/sh\n# criu 4.2\n")
    (said,) = differences(before, facts(str(program)))
    assert said == "CRIU is another program than the one that made it"


def test_a_criu_that_is_gone_is_a_difference_and_no_failure(program):
    before = facts(str(program))
    program.unlink()
    assert len(differences(before, facts(str(program)))) == 1


def test_a_library_that_came_went_or_changed_is_named(program, path):
    for name in ("kept-1.0", "gone-2.0", "numpy-2.3.1"):
        (path / f"{name}.dist-info").mkdir()
    before = facts(str(program))
    (path / "gone-2.0.dist-info").rmdir()
    (path / "numpy-2.3.1.dist-info").rename(path / "numpy-2.4.0.dist-info")
    (path / "old-0.1.egg-info").mkdir()
    (said,) = differences(before, facts(str(program)))
    assert said.endswith("(then gone-2.0 numpy-2.3.1, now numpy-2.4.0 old-0.1)")


def test_many_libraries_are_counted():
    then = {"libraries": " ".join(f"lib{n}-1" for n in range(9))}
    (said,) = differences(then, {"libraries": ""})
    assert said.endswith("(then lib0-1 lib1-1 lib2-1 lib3-1 lib4-1 lib5-1 and 3 more)")


@pytest.mark.usefixtures("path")
def test_rookery_is_in_the_key_wherever_it_lies(program, own_code, tmp_path, monkeypatch):
    before = facts(str(program))
    own_code.parent.rename(tmp_path / "elsewhere")
    moved = tmp_path / "elsewhere" / "rookery" / "snapshots" / "facts.py"
    monkeypatch.setattr(module, "__file__", str(moved))
    assert facts(str(program)) == before
    moved.write_text("one = 2\n")
    assert differences(before, facts(str(program))) == ["Rookery's own code has changed"]


@pytest.mark.usefixtures("own_code")
def test_code_that_is_installed_to_be_edited_is_in_the_key(program, path, tmp_path):
    edited = tmp_path / "src"
    edited.mkdir()
    (edited / "mine.py").write_text("a = 1\n")
    (path / "mine.pth").write_text(f"# where it is\nimport os; os.sep\n{edited}\n/no/such/folder\n")
    before = facts(str(program))
    (edited / "mine.py").write_text("a = 2\n")
    assert facts(str(program))["code"] != before["code"]


@pytest.mark.usefixtures("own_code", "path")
def test_code_that_pythonpath_leads_to_is_in_the_key(program, tmp_path, monkeypatch):
    named = tmp_path / "src"
    named.mkdir()
    monkeypatch.setenv("PYTHONPATH", f":relative:/no/such/folder:{named}/")
    before = facts(str(program))
    (named / "mine.py").write_text("a = 2\n")
    assert facts(str(program))["code"] != before["code"]


def test_rookery_itself_installed_to_be_edited_is_read_once(path, own_code):
    (path / "rookery.pth").write_text(f"{own_code.parent}\n")
    files = [name for name, _ in module._code([*module._installed()])]
    assert files == ["rookery/snapshots/facts.py"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (X86, "GenuineIntel/6/143 amx_tile avx2 avx512f"),
        (ARM, "0x41/8/0xd40 asimd fp sve"),
        ("", ""),
    ],
)
def test_of_a_cpu_the_kind_and_what_code_is_chosen_by_count(tmp_path, text, expected):
    (tmp_path / "cpuinfo").write_text(text)
    assert module._cpu(str(tmp_path / "cpuinfo")).strip() == expected


@pytest.mark.parametrize(
    ("then", "now", "said"),
    [
        ({"kernel": "6.1"}, {"kernel": "6.2"}, "the kernel was 6.1, here it is 6.2"),
        ({"python": "3.11"}, {"python": "3.12"}, "Python was 3.11, here it is 3.12"),
        ({"cpu": "a avx2"}, {"cpu": "a"}, "the CPU is of another kind (then avx2)"),
        ({"code": "a"}, {"code": "b"}, "Rookery's own code has changed"),
        ({"kernel": "6.1"}, {}, "the kernel was 6.1, here it is unknown"),
        ({}, {"novel": "x"}, "novel was unknown, here it is x"),
    ],
)
def test_a_difference_is_said_in_words(then, now, said):
    assert differences(then, now) == [said]


KEYS = st.dictionaries(st.sampled_from(["python", "cpu", "libraries", "x{}"]), st.text())


@given(then=KEYS, now=KEYS)
def test_there_is_one_phrase_for_each_change_and_none_without(then, now):
    changed = [name for name in {*then, *now} if then.get(name) != now.get(name)]
    assert len(differences(then, now)) == len(changed)


def test_importing_it_loads_nothing_that_takes_time():
    code = """
        import sys
        before = {name.partition(".")[0] for name in sys.modules}
        import rookery.snapshots.facts
        print(*sorted({name.partition(".")[0] for name in sys.modules} - before))
    """
    loaded = subprocess.run(
        (sys.executable, "-c", "\n".join(line.strip() for line in code.splitlines())),
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split()
    assert set(loaded) <= {"rookery", "xxhash", "collections", "itertools", "keyword", "operator",
                           "reprlib", "_collections", "_operator"}  # fmt: skip
