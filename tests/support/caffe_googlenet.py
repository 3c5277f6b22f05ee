"""GoogLeNet as Caffe's users have it: BVLC's deploy.prototxt, and a caffemodel of given weights.

Written from the layers of `models/bvlc_googlenet/deploy.prototxt`, and on purpose not from
`rookery.zoo.googlenet`: a second opinion on what the network is.
"""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from rookery import protobuf

# name: 1x1, 3x3 reduce, 3x3, 5x5 reduce, 5x5, pool proj
_INCEPTIONS = {
    "inception_3a": (64, 96, 128, 16, 32, 32),
    "inception_3b": (128, 128, 192, 32, 96, 64),
    "pool3/3x3_s2": (),
    "inception_4a": (192, 96, 208, 16, 48, 64),
    "inception_4b": (160, 112, 224, 24, 64, 64),
    "inception_4c": (128, 128, 256, 24, 64, 64),
    "inception_4d": (112, 144, 288, 32, 64, 64),
    "inception_4e": (256, 160, 320, 32, 128, 128),
    "pool4/3x3_s2": (),
    "inception_5a": (256, 160, 320, 32, 128, 128),
    "inception_5b": (384, 192, 384, 48, 128, 128),
}


class _Net:
    """Layers in Caffe's text format, and the shapes of their weights."""

    def __init__(self) -> None:
        self.text = [
            'name: "GoogleNet"\ninput: "data"\n',
            "input_shape { dim: 1 dim: 3 dim: 224 dim: 224 }\n",
        ]
        self.shapes: dict[str, tuple[int, ...]] = {}
        self.channels = {"data": 3}

    def layer(self, name: str, type_: str, bottoms: Sequence[str], parameters: str = "") -> str:
        below = " ".join(f'bottom: "{bottom}"' for bottom in bottoms)
        self.text.append(
            f'layer {{ name: "{name}" type: "{type_}" {below} top: "{name}" {parameters} }}\n'
        )
        self.channels[name] = sum(self.channels[bottom] for bottom in bottoms)
        return name

    def convolve(self, name: str, bottom: str, filters: int, kernel: int, geometry: str) -> str:
        self.shapes[name] = (filters, self.channels[bottom], kernel, kernel)
        parameters = (
            f"convolution_param {{ num_output: {filters} kernel_size: {kernel} {geometry} }}"
        )
        self.layer(name, "Convolution", [bottom], parameters)
        self.channels[name] = filters
        return self.layer(f"{name}/relu", "ReLU", [name])

    def pool(self, name: str, bottom: str, geometry: str) -> str:
        return self.layer(name, "Pooling", [bottom], f"pooling_param {{ {geometry} }}")

    def norm(self, name: str, bottom: str) -> str:
        parameters = "lrn_param { local_size: 5 alpha: 0.0001 beta: 0.75 }"
        return self.layer(name, "LRN", [bottom], parameters)

    def inception(self, name: str, bottom: str, filters: Sequence[int]) -> str:
        one, reduce3, three, reduce5, five, projected = filters
        small = self.convolve(f"{name}/3x3_reduce", bottom, reduce3, 1, "")
        smaller = self.convolve(f"{name}/5x5_reduce", bottom, reduce5, 1, "")
        pooled = self.pool(f"{name}/pool", bottom, "pool: MAX kernel_size: 3 stride: 1 pad: 1")
        branches = [
            self.convolve(f"{name}/1x1", bottom, one, 1, ""),
            self.convolve(f"{name}/3x3", small, three, 3, "pad: 1"),
            self.convolve(f"{name}/5x5", smaller, five, 5, "pad: 2"),
            self.convolve(f"{name}/pool_proj", pooled, projected, 1, ""),
        ]
        return self.layer(f"{name}/output", "Concat", branches)


def _net() -> _Net:
    net = _Net()
    halved = "pool: MAX kernel_size: 3 stride: 2"
    x = net.convolve("conv1/7x7_s2", "data", 64, 7, "pad: 3 stride: 2")
    x = net.norm("pool1/norm1", net.pool("pool1/3x3_s2", x, halved))
    x = net.convolve("conv2/3x3_reduce", x, 64, 1, "")
    x = net.norm("conv2/norm2", net.convolve("conv2/3x3", x, 192, 3, "pad: 1"))
    x = net.pool("pool2/3x3_s2", x, halved)
    for name, filters in _INCEPTIONS.items():
        x = net.inception(name, x, filters) if filters else net.pool(name, x, halved)
    x = net.pool("pool5/7x7_s1", x, "pool: AVE kernel_size: 7 stride: 1")
    classifier = "loss3/classifier"
    net.shapes[classifier] = (1000, net.channels[x])
    net.layer(classifier, "InnerProduct", [x], "inner_product_param { num_output: 1000 }")
    net.layer("prob", "Softmax", [classifier])
    return net


def prototxt() -> str:
    """Return the network as Caffe's text format has it."""
    return "".join(_net().text)


def random_weights(seed: int) -> dict[str, list[NDArray[np.float32]]]:
    """Return a kernel and a bias for every layer, such that activations stay in the hundreds."""
    generator = np.random.default_rng(seed)
    weights = {}
    for name, shape in _net().shapes.items():
        spread = np.sqrt(2 / np.prod(shape[1:])) * (0.05 if name == "loss3/classifier" else 1)
        kernel = generator.normal(0, spread, shape).astype(np.float32)
        weights[name] = [kernel, generator.normal(0, 1, shape[0]).astype(np.float32)]
    return weights


def caffemodel(weights: Mapping[str, Sequence[NDArray[np.float32]]], *, old: bool) -> bytes:
    """Return *weights* as Caffe saves them; *old*, as it did in 2014: V1 layers, four axes."""
    layer_field, name_field, blob_field = (2, 4, 6) if old else (100, 1, 7)
    return protobuf.encode(
        protobuf.length(
            layer_field,
            protobuf.encode(
                [
                    protobuf.length(name_field, name.encode()),
                    *(protobuf.length(blob_field, _blob(tensor, old=old)) for tensor in tensors),
                ]
            ),
        )
        for name, tensors in weights.items()
    )


def _blob(tensor: NDArray[np.float32], *, old: bool) -> bytes:
    return protobuf.encode([*_shape(tensor.shape, old=old), protobuf.length(5, tensor.tobytes())])


def _shape(shape: tuple[int, ...], *, old: bool) -> Iterator[protobuf.Field]:
    if old:
        four = (1,) * (4 - len(shape)) + shape
        yield from (protobuf.varint(number, size) for number, size in enumerate(four, 1))
        return
    sizes = b"".join(protobuf.encode([protobuf.varint(1, size)])[1:] for size in shape)
    yield protobuf.length(7, protobuf.encode([protobuf.length(1, sizes)]))
