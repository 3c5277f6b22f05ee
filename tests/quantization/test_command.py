"""`rookery models quantize`, and `rookery models check` of what it made, for real."""

import json

import pytest
from click.testing import CliRunner

from rookery.cli.root import exit_code, root
from rookery.errors import QuantizationRefused


@pytest.fixture
def run(settings, repository, version):
    del version  # it must be there
    settings(ROOKERY_HOME=str(repository.root.parent))

    def run(*arguments, fails=None):
        done = CliRunner().invoke(root, ["models", *map(str, arguments)])
        if fails is not None:
            assert isinstance(done.exception, fails), done.output
            return done.exception
        assert done.exit_code == 0, done.output
        return done

    return run


def test_a_model_is_quantized_and_checked(run, photos, repository):
    done = run("quantize", "colors", "--calibration", photos)
    assert "12 images, 1 files left out; calibrated with 12 of them" in done.stdout
    assert "100.0% (at least 99.0% asked)" in done.stdout
    made = repository.find("colors-int8").directory
    assert done.stdout.splitlines()[-1] == f"colors-int8/1 is ready: {made}"
    assert next(line for line in done.stderr.splitlines() if "images" in line) == (
        "asking in fp32: 13 images"
    )

    checked = run("check", "colors-int8", "--images", photos / "red", "--backend", "openvino")
    assert "int8 of colors/1: the same best class on 100.0% of 12 images" in checked.stdout
    assert "nothing to compare with" in checked.stdout


def test_json_is_one_document(run, photos):
    done = run("quantize", "colors", "--calibration", photos, "--name", "small", "--json")
    report = json.loads(done.stdout)
    assert (report["model"], report["source"], report["images"]) == ("small/1", "colors/1", 12)


def test_a_refusal_is_a_message_and_an_exit_code(run, tmp_path):
    (tmp_path / "empty").mkdir()
    error = run(
        "quantize", "colors", "--calibration", tmp_path / "empty", fails=QuantizationRefused
    )
    assert "holds no image that can be used" in str(error)
    assert exit_code(error) == 78
