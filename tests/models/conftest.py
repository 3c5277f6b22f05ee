"""A small card, and how to publish a model that needs no library."""

from collections.abc import Callable
from pathlib import Path

import pytest

from rookery.images.preprocessing import Preprocessing
from rookery.models.card import ModelCard
from rookery.models.labels import write_labels
from rookery.models.repository import ModelVersion, Repository


@pytest.fixture(scope="session")
def card() -> ModelCard:
    return ModelCard(
        name="birds",
        version=1,
        architecture="none",
        license="CC0-1.0",
        source="made for a test",
        format="fixed",
        signature="serving_default",
        output="scores",
        activation="probabilities",
        labels="labels.txt",
        classes=3,
        input=Preprocessing(
            height=32,
            width=48,
            resize="center-crop",
            crop_fraction=0.875,
            color_order="BGR",
            mean=(1.5, 2.0, 3.0),
            scale=(4.0, 5.0, 6.0),
        ),
    )


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "models")


@pytest.fixture
def publish(repository: Repository, card: ModelCard) -> Callable[[], ModelVersion]:
    def build(directory: Path) -> None:
        write_labels(directory / "labels.txt", ("crow", "rook", "jackdaw"))
        (directory / "variables").mkdir()
        (directory / "variables" / "data").write_bytes(b"\1\2\3")

    return lambda: repository.publish(card, build)
