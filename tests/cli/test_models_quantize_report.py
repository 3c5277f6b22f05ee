"""What `rookery models quantize` found, as people read it."""

from dataclasses import replace

from rookery.cli.models_quantize_report import lines
from rookery.models.agreement import Agreement
from rookery.quantization.report import Accuracy, Change, Quantization

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
