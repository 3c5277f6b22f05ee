"""A frozen graph, a GraphDef with its weights inside, of any age."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rookery.backends.freezing import freeze
from rookery.backends.frozen_graph import to_feed
from rookery.backends.protocol import Signature
from rookery.backends.savedmodel import (
    SavedFunction,
    first_line,
    import_tensorflow,
    tensor_spec,
)
from rookery.errors import ModelInvalid
from rookery.models.card import ModelCard
from rookery.models.formats import FILES
from rookery.zoo.sources.operations import check_operations
from rookery.zoo.sources.source import Choices
from rookery.zoo.sources.tensorflow_source import TensorFlowSource

if TYPE_CHECKING:
    from tensorflow import Tensor
    from tensorflow.core.framework.graph_pb2 import GraphDef

_ANY_IMAGE: Final = (None, None, None, 3)
_MOST_NAMES: Final = 8


class FrozenSource(TensorFlowSource):
    """What leads from one tensor of a graph to others."""

    def __init__(self, path: Path, choices: Choices) -> None:
        """Read the graph in the file *path*.

        Raises:
            ModelInvalid: it is none, is damaged, has operations that cannot be run here, or
                several inputs or outputs of which none is chosen.
        """
        tf = import_tensorflow()
        self._graph = graph = read_graph(path)
        check_operations(graph, str(path))
        self._input = _tensor_name(choices.input or _only_input(graph, path))
        self._outputs = tuple(
            _tensor_name(name) for name in ((choices.output,) if choices.output else _last(graph))
        )
        self._fed = to_feed(graph, self._input)
        scope = tf.Graph()
        try:
            with scope.as_default():
                tf.import_graph_def(graph, name="")
            source = scope.get_tensor_by_name(self._input)
            outputs = [scope.get_tensor_by_name(name) for name in self._outputs]
        except (ValueError, TypeError, LookupError, tf.errors.OpError) as exc:
            raise ModelInvalid(f"TensorFlow cannot load {path}: {first_line(exc)}") from exc
        if others := _placeholders(graph, self._input, self._outputs):
            raise ModelInvalid(
                f"a classifier takes one input, an image batch; {path} needs {', '.join(others)} "
                "besides; freeze the graph with the others fixed, or choose with --input, --output"
            )
        entry = tensor_spec(self._input, source)
        signature = Signature(
            # An image of any size, where the graph does not say.
            inputs=(replace(entry, shape=entry.shape or _ANY_IMAGE),),
            outputs=tuple(tensor_spec(_node(tensor.name), tensor) for tensor in outputs),
        )
        super().__init__(SavedFunction(tf, signature, self._call), [])

    def write(self, directory: Path, card: ModelCard) -> ModelCard:
        """Write `frozen.pb`, with the names that every frozen graph has here."""
        size = (
            self.signature.inputs[0].shape[0],
            card.input.height,
            card.input.width,
            3,
        )
        graph = freeze(lambda image: self._call(image)[card.output], size, card.output)
        (directory / FILES["frozen"]).write_bytes(graph.SerializeToString())
        return replace(card, format="frozen", other_formats=())

    def _call(self, image: "Tensor") -> "dict[str, Tensor]":
        tf = import_tensorflow()

        def run(pixels: "Tensor") -> "list[Tensor]":
            found: list[Tensor] = tf.import_graph_def(
                self._graph,
                input_map=dict.fromkeys(self._fed, pixels),
                return_elements=list(self._outputs),
                # A name of its own, so that what is around the graph can have any.
                name="network",
            )
            return found

        # Eagerly there is no graph to import into.
        function = tf.function(run, autograph=False) if tf.executing_eagerly() else run
        return {
            _node(name): tensor for name, tensor in zip(self._outputs, function(image), strict=True)
        }


def read_graph(path: Path) -> "GraphDef":
    """Return the graph in the file at *path*.

    Raises:
        ModelInvalid: it is damaged, no graph, a SavedModel's, or has variables in place of weights.
    """
    import_tensorflow()
    from google.protobuf.message import DecodeError  # noqa: PLC0415 - comes with TensorFlow
    from tensorflow.core.framework.graph_pb2 import GraphDef  # noqa: PLC0415
    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel  # noqa: PLC0415

    data = path.read_bytes()
    try:
        graph = GraphDef.FromString(data)
    except DecodeError as exc:
        try:
            saved = bool(SavedModel.FromString(data).meta_graphs)
        except DecodeError:
            saved = False
        if saved:
            raise ModelInvalid(
                f"{path} is the graph of a SavedModel; import the folder it lies in: {path.parent}"
            ) from exc
        raise ModelInvalid(f"{path} is no TensorFlow graph, or a damaged one: {exc}") from exc
    if not any(node.op for node in graph.node):
        raise ModelInvalid(f"{path} is no TensorFlow graph, or an empty one")
    variables = [node.name for node in graph.node if node.op in {"VariableV2", "VarHandleOp"}]
    if variables:
        raise ModelInvalid(
            f"{path} has no weights in it: {variables[0]} is a variable; freeze the graph, "
            "or import the SavedModel's folder"
        )
    return graph


def _only_input(graph: "GraphDef", path: Path) -> str:
    names: list[str] = [node.name for node in graph.node if node.op == "Placeholder"]
    if len(names) != 1:
        there = ", ".join(names[:_MOST_NAMES]) or "none"
        raise ModelInvalid(
            f"choose the tensor of {path} that takes the images with --input; it has the "
            f"placeholders {there}"
        )
    return names[0]


def _last(graph: "GraphDef") -> list[str]:
    """Return the nodes whose result no other takes."""
    taken = {name.lstrip("^").partition(":")[0] for node in graph.node for name in node.input}
    idle = {"Assert", "Const", "NoOp", "Placeholder", "PlaceholderWithDefault"}
    return [node.name for node in graph.node if node.name not in taken and node.op not in idle]


def _placeholders(graph: "GraphDef", entry: str, outputs: tuple[str, ...]) -> list[str]:
    """Return the placeholders that *outputs* need beside tensor *entry*."""
    nodes = {node.name: node for node in graph.node}
    waiting = [name.partition(":")[0] for name in outputs]
    seen = {entry.partition(":")[0]}
    found = []
    while waiting:
        name = waiting.pop()
        if name in seen or name not in nodes:
            continue
        seen.add(name)
        if nodes[name].op == "Placeholder":
            found.append(name)
        waiting += [one.lstrip("^").partition(":")[0] for one in nodes[name].input]
    return sorted(found)


def _tensor_name(name: str) -> str:
    return name if ":" in name else f"{name}:0"


def _node(tensor: str) -> str:
    return tensor.removesuffix(":0").replace(":", "_")
