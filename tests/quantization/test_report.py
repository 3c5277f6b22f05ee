import json

import pytest

from rookery.errors import ModelInvalid
from rookery.quantization.report import summary

WHOLE = {
    "source": "birds/3",
    "images": 1200,
    "agreement": {"top_1": 0.9925},
    "accuracy": {"before": 0.75, "after": 0.745},
}


def write(folder, document):
    (folder / "quantization.json").write_text(json.dumps(document))


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (WHOLE, "on 99.2% of 1,200 images, accuracy 75.0% before, 74.5% after"),
        (WHOLE | {"accuracy": None}, "on 99.2% of 1,200 images"),
    ],
)
def test_a_report_is_a_line(document, expected, tmp_path):
    write(tmp_path, document)
    assert summary(tmp_path) == f"int8 of birds/3: the same best class {expected}"


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ([], "must hold a JSON object"),
        ({}, "is no report: agreement must be an object.*source must be a string"),
        (WHOLE | {"images": 0}, "images must be an integer of at least 1"),
        (WHOLE | {"agreement": {"top_1": "all"}}, "agreement.top_1 must be a number"),
    ],
)
def test_what_is_no_report_says_why(document, message, tmp_path):
    write(tmp_path, document)
    with pytest.raises(ModelInvalid, match=message):
        summary(tmp_path)


def test_without_one_it_says_where_it_would_be(tmp_path):
    with pytest.raises(ModelInvalid, match=r"quantization\.json cannot be read"):
        summary(tmp_path)
