"""`rookery models check`, as a user types it; what the backends do is played."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from rookery.backends import comparison
from rookery.backends.comparison import Row
from rookery.backends.trial import Trial
from rookery.cli.root import root
from rookery.errors import ImageUndecodable, ModelNotFound
from rookery.images.sample import sample_jpeg
from rookery.models.agreement import compare
from rookery.models.labels import write_labels
from rookery.models.repository import Repository

SCORES = np.array([[0.5, 0.3, 0.2]], np.float32)


@pytest.fixture
def home(tmp_path, monkeypatch, settings):
    """A home of our own, in an empty current folder."""
    settings(ROOKERY_HOME=str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "home"


@pytest.fixture
def publish(home, penguins):
    def publish(name, **changes):
        card = replace(penguins.card, name=name, format="savedmodel", **changes)
        labels = (penguins.directory / "labels.txt").read_text().splitlines()
        return Repository(home / "models").publish(
            card, lambda folder: write_labels(folder / "labels.txt", labels)
        )

    return publish


@pytest.fixture
def rows(monkeypatch):
    """What the backends do: names to rows; and what they were asked."""
    played = {}

    def run_trials(version, backends, batch, options, **rest):
        del version, options
        played["asked"] = tuple(backends), batch.shape, rest["calls"]
        played["references"] = rest["references"]
        played["interpreters"] = rest["interpreters"]
        return tuple(played[name] for name in backends if name in played)

    monkeypatch.setattr(comparison, "run_trials", run_trials)
    return played


def ran(name, scores=SCORES):
    measured = Trial(name, 100, 200, 30, 8.5, 50 << 20, scores)
    return Row(name, measured, compare(SCORES, scores))


@pytest.fixture
def run():
    def run(*arguments, code=0):
        done = CliRunner().invoke(root, ["models", "check", *arguments])
        if isinstance(code, type):
            assert isinstance(done.exception, code), done.output
            return str(done.exception)
        assert done.exit_code == code, done.output
        return done

    return run


def test_backends_stand_side_by_side(publish, rows, run):
    publish("birds")
    rows |= {
        "tensorflow": ran("tensorflow"),
        "openvino": ran("openvino", SCORES + np.float32(1e-6)),
        "opencv": Row("opencv", absent="reads frozen, onnx"),
    }
    shown = run("birds").stdout
    assert "birds/1  fp32" in shown
    assert [line.split()[:7] for line in shown.splitlines() if line.startswith("  openvino ")] == [
        ["openvino", "100", "200", "30", "8.5", "50", "100%"]
    ]
    assert "opencv did not run: reads frozen, onnx" in shown


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (ran("openvino", SCORES[:, ::-1].copy()), "openvino does not answer as the reference does"),
        (ran("openvino", SCORES + np.float32(1e-3)), "openvino does not answer as the reference"),
        (Row("openvino", failure="crashed (SIGSEGV)"), "openvino: crashed (SIGSEGV)"),
    ],
    ids=["other classes", "too far", "failed"],
)
def test_a_backend_that_disagrees_is_an_exit_code(bad, message, publish, rows, run):
    publish("birds")
    rows |= {"tensorflow": ran("tensorflow"), "openvino": bad}
    assert message in run("birds", code=1).stdout


def test_a_backend_that_is_asked_for_must_run(publish, rows, run):
    publish("birds")
    rows |= {"tensorflow": ran("tensorflow"), "opencv": Row("opencv", absent="not installed")}
    arguments = ("birds", "--backend", "tensorflow", "--backend", "opencv")
    assert "opencv: not installed" in run(*arguments, code=1).stdout
    assert rows["asked"][0] == ("tensorflow", "opencv")


def test_a_backend_that_is_asked_for_is_compared_with_the_most_trusted_others(publish, rows, run):
    publish("birds")
    rows |= {"openvino": ran("openvino")}
    run("birds", "--backend", "openvino")
    assert rows["references"][:3] == ["tensorflow", "tensorflow-frozen", "opencv"]
    assert "openvino" not in rows["references"]


def test_a_backend_alone_agrees_with_nobody(publish, rows, run):
    publish("birds")
    rows |= {"openvino": replace(ran("openvino"), agreement=None)}
    line = next(one for one in run("birds").stdout.splitlines() if "openvino" in one)
    assert line.endswith("nothing to compare with")
    assert "%" not in line
    (found,) = json.loads(run("birds", "--json").stdout)
    assert found["backends"][0]["agreement"] is None


def test_itex_is_found_in_its_own_environment(home, publish, rows, run):
    publish("birds")
    rows |= {"openvino": ran("openvino")}
    run("birds")
    assert rows["interpreters"] == {}
    python = home / "itex" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.touch()
    run("birds")
    assert rows["interpreters"] == {"itex": python}


def test_no_backend_at_all_is_an_exit_code(publish, rows, run):
    publish("birds")
    rows |= {"tensorflow": Row("tensorflow", absent="not installed")}
    assert "no backend can run it" in run("birds", code=1).stdout


def test_without_a_name_the_newest_of_every_model_is_checked(publish, rows, run):
    for name in ("birds", "birds", "cars"):
        publish(name)
    rows |= {"openvino": ran("openvino")}
    found = json.loads(run("--json").stdout)
    assert [one["model"] for one in found] == ["birds/2", "cars/1"]
    assert found[0]["backends"][0]["agreement"]["top_5"] == 1


def test_a_damaged_model_does_not_hide_the_others(publish, rows, run):
    damaged = publish("birds")
    publish("cars")
    (damaged.directory / "labels.txt").write_text("changed")
    rows |= {"openvino": ran("openvino")}
    found = json.loads(run("--json", code=1).stdout)
    assert ["is damaged" in str(one["problems"]) for one in found] == [True, False]


def test_a_model_that_computes_nothing_is_said_to(home, penguins, run, rows):
    shutil.copytree(penguins.directory, home / "models" / "penguins" / "1")
    assert "computes nothing" in run("penguins").stdout
    assert rows == {}


def test_an_unknown_model_is_an_error(home, run):
    assert "there is no model dodo" in run("dodo", code=ModelNotFound)
    assert not home.exists()


@pytest.mark.parametrize("arguments", [("dodo",), ("dodo", "--json"), ()])
def test_nothing_is_said_of_images_where_there_is_no_model(arguments, home, capsys):  # noqa: ARG001
    with pytest.raises(ModelNotFound):
        root.main(["models", "check", *arguments], standalone_mode=False)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("arguments", [(), ("--json",)])
def test_no_models_at_all_is_an_error_that_says_what_to_do(arguments, home, run):
    message = run(*arguments, code=ModelNotFound)
    assert f"there are no models in {home / 'models'}; `rookery models list` says" in message


# --- images --------------------------------------------------------------------------------


def test_the_images_of_the_functions_are_taken(publish, rows, run, tmp_path):
    for name in ("one.jpg", "two.jpg"):
        (tmp_path / "functions/see/data").mkdir(parents=True, exist_ok=True)
        (tmp_path / "functions/see/data" / name).write_bytes(sample_jpeg(32, 32))
    publish("birds")
    rows |= {"openvino": ran("openvino")}
    assert "images: 2, functions/see/data" in run("birds").stderr
    assert rows["asked"][1:] == ((2, 8, 8, 3), 20)


def test_without_images_our_own_sample_is_taken_and_said(publish, rows, run):
    publish("birds")
    rows |= {"openvino": ran("openvino")}
    assert "our own sample" in run("birds", "--calls", "3").stderr
    assert rows["asked"][1:] == ((1, 8, 8, 3), 3)


def test_a_folder_without_images_is_refused(publish, run, tmp_path):
    publish("birds")
    (tmp_path / "empty").mkdir()
    assert "no images are in" in run("birds", "--images", "empty", code=ImageUndecodable)


def test_an_image_that_is_none_is_left_out_and_named(publish, rows, run, tmp_path, caplog):
    publish("birds")
    rows |= {"openvino": ran("openvino")}
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0")
    (tmp_path / "rook.jpg").write_bytes(sample_jpeg(32, 32))
    run("birds", "--images", "broken.jpg", "--images", "rook.jpg")
    assert rows["asked"][1] == (1, 8, 8, 3)
    assert "left out: broken.jpg: " in caplog.text


def test_where_no_image_can_be_used_it_fails(publish, run, tmp_path):
    publish("birds")
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0")
    message = run("birds", "--images", "broken.jpg", code=ImageUndecodable)
    assert message == "none of the 1 images can be used"


@pytest.mark.parametrize(
    ("options", "taken"), [((), 100), (("--images-at-most", "7"), 7)], ids=["default", "option"]
)
def test_of_many_images_some_are_taken_and_said(options, taken, publish, rows, run):
    publish("birds")
    rows |= {"openvino": ran("openvino")}
    photos = Path("photos")
    photos.mkdir()
    for number in range(101):
        (photos / f"{number}.jpg").write_bytes(sample_jpeg(8, 8))
    said = run("birds", "--images", str(photos), *options).stderr
    assert f"images: {taken} of 101, taken evenly" in said
    assert rows["asked"][1] == (taken, 8, 8, 3)


def test_the_help_has_examples(run):
    assert "Examples:" in run("--help").stdout
