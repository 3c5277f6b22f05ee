"""`rookery models`, as a user types it."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rookery.backends.registry import create_backend
from rookery.cli.root import exit_code
from rookery.errors import DownloadUnavailable, ModelInvalid, ModelNotFound
from rookery.images.preprocessing import Preprocessing
from rookery.models.integrity import verify
from rookery.models.labels import write_labels
from rookery.models.repository import Repository
from rookery.zoo.catalog import ZOO, Network, ZooModel
from rookery.zoo.download import Checksum, RemoteFile

MANUAL = (Path(__file__).parents[2] / "docs" / "models.md").read_text()


@pytest.mark.parametrize("arguments", [[], ["list"], ["pull"], ["import"], ["export"]])
def test_help_shows_an_example_or_the_commands(arguments, run):
    output = run(*arguments, "--help")
    assert "Usage:" in output
    assert arguments[:1] in ([], ["list"]) or "Example" in output


# --- pull ----------------------------------------------------------------------------------


def test_pulling_twice_publishes_once(run, home):
    assert run("pull", "fixed").startswith("fixed/1 is ready: ")
    assert run("pull", "fixed").startswith("fixed/1 is already there: ")
    assert Repository(home / "models").references() == ("fixed/1",)


def test_pulling_a_damaged_model_makes_the_next_version(run, home):
    run("pull", "fixed")
    (home / "models" / "fixed" / "1" / "labels.txt").write_text("damaged")

    assert run("pull", "fixed").startswith("fixed/2 is ready: ")


def test_a_model_without_weights_takes_no_file(run, home, tmp_path):
    (tmp_path / "weights.h5").write_bytes(b"x")
    message = run("pull", "fixed", "--file", tmp_path / "weights.h5", fails=ModelInvalid)
    assert message == "fixed has no weights; leave out --file"
    assert Repository(home / "models").references() == ()


def test_an_unknown_model_names_the_known_ones(run):
    message = run("pull", "alexnet", fails=ModelNotFound)
    assert message == (
        "there is no model 'alexnet' to pull; there is efficientnet-lite0, resnet50, "
        "inception-v3, mobilenet-v3, googlenet, inception-v1, fixed"
    )


def test_offline_is_one_message_and_exit_code_69(run, home, monkeypatch, unused_url):
    weights = RemoteFile(f"{unused_url}/resnet50.h5", Checksum("md5", "0" * 32), 1000)
    network = replace(ZOO["resnet50"].network, remote=weights)
    monkeypatch.setitem(ZOO, "resnet50", replace(ZOO["resnet50"], network=network))
    message = run("pull", "resnet50", fails=DownloadUnavailable)
    assert "--file" in message
    assert exit_code(DownloadUnavailable(message)) == 69
    assert Repository(home / "models").references() == ()


@pytest.mark.tensorflow
@pytest.mark.xdist_group("tensorflow")
def test_a_file_that_holds_no_weights_publishes_nothing(run, home, tmp_path):
    file = tmp_path / "weights.pth"
    file.write_bytes(b"no weights")
    message = run("pull", "efficientnet-lite0", "--file", file, fails=ModelInvalid)
    assert "no legacy PyTorch checkpoint" in message
    assert Repository(home / "models").references() == ()


@pytest.fixture
def tiny(monkeypatch):
    """A network in the zoo that is made in no time; its published weights are the file it takes."""
    from rookery.zoo.keras_weights import load_weights

    def build():
        import keras

        pool, dense = keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(1000, "softmax")
        return keras.Sequential([keras.Input((8, 8, 3)), pool, dense], name="tiny")

    model = ZOO["efficientnet-lite0"]
    card = replace(model.card, name="tiny", input=Preprocessing(height=8, width=8), top_1=0.5)
    monkeypatch.setitem(ZOO, "tiny", ZooModel(card, "1 MiB", Network(build, load_weights)))
    return monkeypatch


@pytest.mark.tensorflow
@pytest.mark.xdist_group("tensorflow")
def test_random_weights_claim_nothing_and_answer(tiny, run, home):
    del tiny
    assert run("pull", "tiny", "--weights", "random").startswith("tiny/1 is ready")
    version = Repository(home / "models").find("tiny")
    assert "random weights" in version.card.source
    assert version.card.top_1 is None
    batch = np.random.default_rng(0).uniform(0, 255, (2, 8, 8, 3)).astype(np.float32)
    one = create_backend("tensorflow").load(version.directory, version.card)(batch)
    assert one["probabilities"].std(axis=1).min() > 1e-4


@pytest.mark.tensorflow
@pytest.mark.xdist_group("tensorflow")
def test_a_file_is_the_published_one_when_its_checksum_says_so(tiny, run, home, tmp_path):
    network = ZOO["tiny"].network
    path = tmp_path / "tiny.weights.h5"
    network.build().save_weights(path)
    run("pull", "tiny", "--file", path)
    remote = RemoteFile("http://nowhere.invalid/tiny.weights.h5", Checksum("sha1", ""), 1)
    digest = remote.checksum.of(path)
    published = replace(remote, checksum=Checksum("sha1", digest))
    tiny.setitem(ZOO, "tiny", replace(ZOO["tiny"], network=replace(network, remote=published)))
    run("pull", "tiny", "--file", path)
    first, second = (Repository(home / "models").find(f"tiny/{number}").card for number in (1, 2))
    assert (first.top_1, first.license) == (None, "NOASSERTION")
    assert (second.top_1, second.license) == (0.5, "Apache-2.0")
    assert second.source == ZOO["tiny"].card.source


def test_weights_without_a_checksum_are_not_downloaded(run, home):
    message = run("pull", "inception-v1", fails=DownloadUnavailable)
    assert "inception_v1_2016_08_28.tar.gz" in message
    assert "--file" in message
    assert Repository(home / "models").references() == ()


def test_a_file_has_no_random_weights(run, tmp_path):
    (tmp_path / "a.h5").touch()
    run("pull", "resnet50", "--weights", "random", "--file", tmp_path / "a.h5", fails=SystemExit)


# --- list ----------------------------------------------------------------------------------


def test_an_empty_home_lists_what_can_be_pulled(run):
    first, header, *rows = run("list").splitlines()
    assert first.startswith("no models in ")
    assert header.split() == [
        *("MODEL", "HERE", "SIZE", "ARCHITECTURE", "PARAMETERS", "GFLOPS", "TOP-1"),
        *("PRECISION", "FORMATS"),
    ]
    named = [row for row in rows if row and not row.startswith((" ", "What"))]
    assert [row.split()[:2] for row in named] == [[name, "no"] for name in ZOO]
    (resnet50,) = [row for row in named if row.startswith("resnet50")]
    shown = " ".join(resnet50.split())
    assert shown == "resnet50 no 98 MiB ResNet50 25.6 M 7.72 74.9% fp32 savedmodel, frozen"
    assert "Apache-2.0; ImageNet weights of Keras Applications, " in rows[rows.index(resnet50) + 1]


def test_a_model_that_is_here_is_not_available_any_more(run):
    run("pull", "fixed")
    document = json.loads(run("list", "--json"))
    (model,) = document["models"]
    assert (model["name"], model["version"], model["formats"]) == ("fixed", 1, ["fixed"])
    assert (model["parameters"], model["gflops"], model["top_1"]) == (None, None, None)
    assert model["bytes"] > 20_000
    assert [entry["name"] for entry in document["available"]] == [n for n in ZOO if n != "fixed"]
    (row,) = [line for line in run("list").splitlines() if line.startswith("fixed")]
    assert row.split()[:3] == ["fixed/1", "yes", "0.0"]


def test_the_json_of_what_can_be_pulled_says_what_it_is(run):
    entries = {entry["name"]: entry for entry in json.loads(run("list", "--json"))["available"]}
    entry = entries["googlenet"]
    assert (entry["parameters"], entry["top_1"], entry["download"]) == (6_998_552, 0.687, "51 MiB")
    assert entry["license"] == "LicenseRef-BVLC-unrestricted"


@pytest.mark.parametrize("name", [name for name in ZOO if name != "fixed"])
def test_the_manual_says_what_the_list_says(name, run):
    (line,) = [line for line in MANUAL.splitlines() if line.startswith(f"| `{name}` ")]
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    (row,) = [line.split() for line in run("list").splitlines() if line.startswith(f"{name} ")]
    parameters, gflops, top_1 = (cell.removesuffix("%").split() for cell in cells[3:6])
    assert row[row.index("fp32") - 4 : row.index("fp32")] == [*parameters, *gflops, f"{top_1[0]}%"]


@pytest.mark.parametrize("source", ["random weights", "a file"])
def test_a_model_with_other_weights_can_still_be_pulled(source, run, home):
    card = replace(ZOO["fixed"].card, name="resnet50", source=source)
    Repository(home / "models").publish(
        card, lambda directory: write_labels(directory / card.labels, ["x"] * 1000)
    )
    available = json.loads(run("list", "--json"))["available"]
    assert "resnet50" in [entry["name"] for entry in available]


def test_a_damaged_model_is_listed_as_damaged_beside_the_others(run, home):
    run("pull", "fixed")
    shutil.copytree(home / "models" / "fixed" / "1", home / "models" / "fixed" / "2")
    output = run("list")
    assert "fixed/1" in output
    assert "fixed/2  damaged: " in output


# --- export --------------------------------------------------------------------------------


def test_an_exported_model_is_a_verified_copy(run, home, tmp_path):
    run("pull", "fixed")
    output = run("export", "fixed", tmp_path / "copy")
    assert output == f"fixed/1 is in {tmp_path / 'copy'}\n"
    verify(tmp_path / "copy", Repository(home / "models").find("fixed").card)


def test_a_damaged_model_is_not_exported(run, home, tmp_path):
    run("pull", "fixed")
    (home / "models" / "fixed" / "1" / "labels.txt").write_text("?")
    assert "is damaged" in run("export", "fixed", tmp_path / "copy", fails=ModelInvalid)
