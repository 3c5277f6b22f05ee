"""`rookery models quantize`, and `rookery models check` of what it made, for real."""

import json
from dataclasses import replace

import pytest
from click.testing import CliRunner

from rookery.cli.models_quantize import lines
from rookery.cli.root import exit_code, root
from rookery.errors import QuantizationRefused
from rookery.models.agreement import Agreement
from rookery.quantization.report import Accuracy, Change, Quantization


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
    assert "of 4 images" in checked.stdout


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


REPORT = Quantization(
    source="colors/1",
    images=200,
    skipped=0,
    calibrated=100,
    min_agreement=0.99,
    agreement=Agreement(200, 0.995, 0.9, 0.97, 0.125),
    accuracy=None,
    milliseconds=Change(30.0, 10.0),
    bytes=Change(4 << 20, 1 << 20),
    int8_instructions=True,
    nncf="3.4.0",
    openvino="2026.4.1",
)


def test_a_report_is_for_people():
    assert lines(REPORT) == [
        "200 images; calibrated with 100 of them",
        "same best class     99.5% (at least 99.0% asked)",
        "of the five best    97.0% kept",
        "largest difference  0.125 of a probability",
        "one image           30.0 ms before, 10.0 ms after",
        "size                4.0 MiB before, 1.0 MiB after",
    ]


def test_accuracy_is_shown_where_it_is_known():
    shown = lines(replace(REPORT, accuracy=Accuracy(50, 0.9, 0.88)))
    assert shown[-1].split(maxsplit=1) == [
        "accuracy", "90.0% before, 88.0% after, on 50 images whose class is known",
    ]  # fmt: skip


def test_a_cpu_that_is_not_made_for_int8_is_said_to_be():
    assert "VNNI" in lines(replace(REPORT, int8_instructions=False))[-1]
