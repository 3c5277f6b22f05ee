"""A model that is called like a function: pictures in, predictions out."""

from typing import TypeVar, overload

import numpy as np

from rookery.errors import RookeryError
from rookery.models.card import ModelCard
from rookery.notebook.pictures import Picture, encoded, said
from rookery.notebook.prediction import Prediction
from rookery.pipeline import Classifier

_Each = TypeVar("_Each", bound=Picture)


class Model:
    """A warmed model. Safe to call from many threads at once.

    `model("cat.jpg")` goes the way of a request to a function: the same decoder, the same
    preprocessing, the same backends.
    """

    def __init__(self, classifier: Classifier) -> None:
        """Ask *classifier*, which answers with all classes."""
        self._classifier = classifier

    @property
    def card(self) -> ModelCard:
        """What the model is, and how its input is prepared."""
        return self._classifier.card

    @property
    def labels(self) -> tuple[str, ...]:
        """Its classes, in the order of their indices."""
        return self._classifier.labels

    @property
    def backend(self) -> str:
        """The library that runs it."""
        return self._classifier.backend

    @overload
    def __call__(self, picture: list[_Each] | tuple[_Each, ...]) -> list[Prediction]: ...

    @overload
    def __call__(self, picture: Picture) -> Prediction: ...

    def __call__(
        self, picture: Picture | list[_Each] | tuple[_Each, ...]
    ) -> Prediction | list[Prediction]:
        """Classify one picture, or each of a list.

        A picture is a path, the bytes of an image file, an open file, a PIL image, or an array of
        uint8: (height, width) grey, (height, width, 3) RGB, or 4 with transparency.

        Raises:
            OSError: a file cannot be read.
            ImageError: it cannot be used as an image; a note says which of them it was.
            BackendFailed: the inference library failed.
            TypeError: it is nothing that a picture can be.
        """
        if isinstance(picture, list | tuple):
            return [self._predict(each) for each in picture]
        return self._predict(picture)

    def __repr__(self) -> str:
        card = self.card
        return (
            f"<Model {card.name}/{card.version}: {card.architecture} on {self.backend}, "
            f"{card.classes:,} classes>"
        )

    def _predict(self, picture: Picture) -> Prediction:
        try:
            pixels, classification = self._classifier.look(encoded(picture))
        except RookeryError as exc:
            exc.add_note(f"the picture was {said(picture)}")
            raise
        wanted, image = self.card.input, classification.image
        squashed = wanted.resize == "squash"
        return Prediction(
            classification,
            np.ascontiguousarray(pixels[..., ::-1]) if wanted.color_order == "BGR" else pixels,
            image.width / image.height if squashed else wanted.width / wanted.height,
        )
