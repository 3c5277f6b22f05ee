"""`rookery models`, as a user types it."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from rookery.backends.registry import create_backend
from rookery.cli.root import exit_code
from rookery.errors import DownloadUnavailable, ModelInvalid, ModelNotFound
from rookery.models.integrity import verify
from rookery.models.labels import write_labels
from rookery.models.repository import Repository
from rookery.zoo import resnet50
from rookery.zoo.catalog import ZOO
from rookery.zoo.download import Checksum, RemoteFile


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


def test_an_unknown_model_names_the_known_ones(run):
    message = run("pull", "alexnet", fails=ModelNotFound)
    assert message == (
        "there is no model 'alexnet' to pull; there is efficientnet-lite0, resnet50, fixed"
    )


def test_offline_is_one_message_and_exit_code_69(run, home, monkeypatch, unused_url):
    weights = RemoteFile(f"{unused_url}/resnet50.h5", Checksum("md5", "0" * 32), 1000)
    monkeypatch.setattr(resnet50, "WEIGHTS", weights)
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


@pytest.mark.tensorflow
@pytest.mark.xdist_group("tensorflow")
def test_resnet50_with_random_weights_gives_the_same_on_both_backends(run, home):
    assert run("pull", "resnet50", "--weights", "random").startswith("resnet50/1 is ready")
    version = Repository(home / "models").find("resnet50")
    assert "random weights" in version.card.source
    assert version.card.input.color_order == "BGR"
    batch = np.random.default_rng(0).normal(0, 50, (2, 224, 224, 3)).astype(np.float32)
    one, other = (
        create_backend(name).load(version.directory, version.card)(batch)["probabilities"]
        for name in ("tensorflow", "openvino")
    )
    assert one.std(axis=1).min() > 1e-4
    np.testing.assert_allclose(one, other, atol=1e-4)


# --- list ----------------------------------------------------------------------------------


def test_an_empty_home_lists_what_can_be_pulled(run):
    output = run("list")
    assert output.startswith("no models in ")
    assert "available to pull:" in output
    assert "efficientnet-lite0" in output
    assert "resnet50" in output


def test_a_model_that_is_here_is_not_available_any_more(run):
    run("pull", "fixed")
    document = json.loads(run("list", "--json"))
    (model,) = document["models"]
    assert (model["name"], model["version"], model["format"]) == ("fixed", 1, "fixed")
    assert model["bytes"] > 20_000
    assert [entry["name"] for entry in document["available"]] == ["efficientnet-lite0", "resnet50"]
    assert "fixed/1" in run("list")


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
