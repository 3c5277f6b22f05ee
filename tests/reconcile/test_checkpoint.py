import json
from dataclasses import replace

import pytest

from rookery.errors import RequestInvalid
from rookery.reconcile.checkpoint import Checkpoint
from rookery.reconcile.counts import Counts

JOB = {"bucket": "images", "prefix": "", "shard": "1/1", "mode": "missing"}
MIDDLE = Checkpoint(JOB, after="é \x01.jpg", counts=Counts(listed=1000, missing=3))


def test_what_was_saved_is_gone_on_from(tmp_path):
    MIDDLE.save(tmp_path / "state.json")
    assert Checkpoint.load(tmp_path / "state.json", JOB) == MIDDLE


def test_without_a_file_it_begins(tmp_path):
    assert Checkpoint.load(tmp_path / "state.json", JOB) == Checkpoint(JOB)


def test_what_was_finished_begins_anew(tmp_path):
    Checkpoint(JOB, after="z", counts=Counts(listed=9), finished=True).save(tmp_path / "s")
    assert Checkpoint.load(tmp_path / "s", JOB) == Checkpoint(JOB)


def test_saving_replaces_the_file_and_leaves_nothing_beside_it(tmp_path):
    for _ in range(2):
        MIDDLE.save(tmp_path / "state.json")
    assert [file.name for file in tmp_path.iterdir()] == ["state.json"]


def test_a_crash_while_saving_leaves_the_last_checkpoint(tmp_path, monkeypatch):
    file = tmp_path / "state.json"
    MIDDLE.save(file)

    def crash(*_, **__):
        raise OSError("no space left on device")

    monkeypatch.setattr(json, "dump", crash)
    with pytest.raises(OSError, match="no space"):
        Checkpoint(JOB, after="later").save(file)
    assert Checkpoint.load(file, JOB) == MIDDLE


@pytest.mark.parametrize(("name", "value"), [("bucket", "other"), ("shard", "1/2")])
def test_the_checkpoint_of_another_run_is_refused_by_what_differs(tmp_path, name, value):
    MIDDLE.save(tmp_path / "s")
    with pytest.raises(RequestInvalid, match=f"{name} was"):
        Checkpoint.load(tmp_path / "s", {**JOB, name: value})


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", "null", '{"job": 1, "after": "", "counts": {}, "finished": 0}']
)
def test_what_is_no_checkpoint_is_refused(tmp_path, text):
    (tmp_path / "s").write_text(text)
    with pytest.raises(RequestInvalid, match="remove it"):
        Checkpoint.load(tmp_path / "s", JOB)


def test_a_name_is_given_once_and_kept(tmp_path):
    first, second = Checkpoint(JOB).named(), Checkpoint(JOB).named()
    assert first.run != second.run
    first.save(tmp_path / "s")
    assert Checkpoint.load(tmp_path / "s", JOB).named() == first


def test_what_was_finished_begins_anew_under_another_name(tmp_path):
    end = replace(Checkpoint(JOB).named(), finished=True)
    end.save(tmp_path / "s")
    assert Checkpoint.load(tmp_path / "s", JOB).named().run != end.run


def test_a_checkpoint_of_before_there_were_names_is_gone_on_from(tmp_path):
    MIDDLE.save(tmp_path / "s")
    document = json.loads((tmp_path / "s").read_text())
    del document["run"]
    (tmp_path / "s").write_text(json.dumps(document))
    assert Checkpoint.load(tmp_path / "s", JOB) == MIDDLE


def test_a_file_that_cannot_be_written_is_told_by_its_option(tmp_path):
    file = tmp_path / "nowhere" / "state.json"
    with pytest.raises(RequestInvalid, match=r"--state .*nowhere.*: No such file") as raised:
        Checkpoint(JOB).begin(file)
    assert "incoming" not in str(raised.value)
