import json
from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from rookery.errors import ImageUndecodable
from rookery.images.preprocessing import Preprocessing
from rookery.models.classification import to_document
from rookery.notebook.model import Model


@pytest.fixture
def shown(model):
    """Classify a picture whose halves are red and blue, with another preprocessing."""
    halves = np.zeros((10, 40, 3), np.uint8)
    halves[:, :20, 0] = halves[:, 20:, 2] = 255

    def show(**preprocessing):
        wanted = Preprocessing(height=8, width=8, interpolation="nearest", **preprocessing)
        classifier = model._classifier
        return Model(replace(classifier, card=replace(classifier.card, input=wanted)))(halves)

    return show


def test_it_answers_as_the_function_does(model, jpeg):
    answer = to_document(model(jpeg).classification)
    assert answer["top_prediction"] == [["king penguin, Aptenodytes patagonica"]]
    assert answer["model"] == {"name": "penguins", "version": "1", "backend": "fixed"}
    assert answer["image"] == {"format": "JPEG", "width": 64, "height": 48}
    assert json.dumps(answer)


def test_it_answers_with_every_class(model, jpeg):
    assert len(model(jpeg).classification.scores) == model.card.classes


def test_what_it_is_can_be_read(model):
    assert repr(model) == "<Model penguins/1: none on fixed, 7 classes>"
    assert (model.card.name, model.backend) == ("penguins", "fixed")
    assert model.labels[1] == "macaw"


@pytest.mark.parametrize("kind", [list, tuple])
def test_several_pictures_are_several_predictions(model, jpeg, kind):
    pictures = kind([jpeg, np.zeros((4, 3), np.uint8), BytesIO(jpeg)])
    answers = model(pictures)
    assert [answer.classification.image.width for answer in answers] == [64, 3, 64]


def test_no_pictures_are_no_predictions(model):
    assert model([]) == []


def test_a_picture_that_cannot_be_used_is_named(model, tmp_path):
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"no picture")
    with pytest.raises(ImageUndecodable) as raised:
        model([np.zeros((4, 3), np.uint8), broken])
    assert raised.value.__notes__ == [f"the picture was {broken}"]


def test_an_array_and_its_file_are_seen_alike(model):
    image = Image.effect_noise((64, 48), 90).convert("RGB")
    written = BytesIO()
    image.save(written, "PNG")
    assert np.array_equal(model(image).pixels, model(written.getvalue()).pixels)
    assert np.array_equal(model(np.asarray(image)).pixels, model(written.getvalue()).pixels)


@pytest.mark.parametrize("color_order", ["RGB", "BGR"])
def test_pixels_are_rgb_whatever_the_model_takes(shown, color_order):
    pixels = shown(color_order=color_order).pixels
    assert pixels[0, 0].tolist() == [255, 0, 0]
    assert pixels[0, -1].tolist() == [0, 0, 255]


@pytest.mark.parametrize(("resize", "shape"), [("squash", 4.0), ("center-crop", 1.0)])
def test_a_squashed_picture_is_shown_in_its_own_shape(shown, resize, shape):
    assert shown(resize=resize).shape == shape
