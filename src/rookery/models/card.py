"""The model card: one frozen description of a model version, stored beside it as model.json."""

from dataclasses import dataclass, field
from typing import Literal

from rookery.images.preprocessing import Preprocessing

Activation = Literal["probabilities", "logits"]
ModelFormat = Literal["savedmodel", "fixed"]

CARD_FILE = "model.json"


@dataclass(frozen=True, slots=True)
class ModelCard:
    """What a model version is and how to feed it.

    Attributes:
        name: the model's name: its folder in the repository.
        version: a positive integer; the newest is served.
        architecture: the network, such as `EfficientNet-Lite0`.
        license: SPDX expression of the weights.
        source: where the weights came from, as a person would look for it.
        format: what lies in the version's folder.
        signature: the SavedModel signature to call.
        output: the name of the output that holds class scores, shape (batch, classes).
        activation: whether that output already sums to 1.
        labels: the label file's name, relative to the folder; one class per line.
        classes: the number of classes.
        input: how pixels are prepared.
        files: sha256 (hex) of every other file in the folder, by POSIX path relative to it.
    """

    name: str
    version: int
    architecture: str
    license: str
    source: str
    format: ModelFormat
    signature: str
    output: str
    activation: Activation
    labels: str
    classes: int
    input: Preprocessing
    files: dict[str, str] = field(default_factory=dict)
