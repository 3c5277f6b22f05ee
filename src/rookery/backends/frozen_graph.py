"""Runs a frozen graph, a GraphDef with its weights inside, with TensorFlow."""

from pathlib import Path
from typing import TYPE_CHECKING

from rookery.backends.protocol import Signature
from rookery.backends.savedmodel import (
    SavedFunction,
    first_line,
    import_tensorflow,
    tensor_spec,
)
from rookery.errors import ModelInvalid

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tensorflow import Tensor
    from tensorflow.core.framework.graph_pb2 import GraphDef


def open_frozen(path: Path, output: str) -> SavedFunction:
    """Load the frozen graph in the file *path*; it gives what its node *output* does.

    Raises:
        BackendMissing: TensorFlow is not installed.
        ModelInvalid: it is damaged, has an operation TensorFlow does not know, or no such node.
    """
    tf = import_tensorflow()
    from google.protobuf.message import DecodeError  # noqa: PLC0415 - comes with TensorFlow

    try:
        graph = tf.compat.v1.GraphDef.FromString(path.read_bytes())
    except (OSError, DecodeError) as exc:
        raise ModelInvalid(f"TensorFlow cannot read {path} as a graph: {first_line(exc)}") from exc
    return run_graph(graph, output, str(path))


def to_feed(graph: "GraphDef", tensor: str) -> list[str]:
    """Return what of *graph* takes the place of its input *tensor*, NODE:0, when it is imported."""
    waited = f"^{tensor.partition(':')[0]}"
    # What only waits for the input would wait for the placeholder, which nobody feeds.
    waits = any(waited in node.input for node in graph.node)
    return [tensor, waited] if waits else [tensor]


def run_graph(graph: "GraphDef", output: str, where: str) -> SavedFunction:
    """Return what runs *graph*, from its placeholders to its node *output*.

    Args:
        graph: a graph without variables.
        output: a node's name; of several outputs of a node, its first.
        where: what the graph is called in messages.

    Raises:
        ModelInvalid: it has an operation TensorFlow does not know, no such node, or variables.
    """
    tf = import_tensorflow()
    inputs = [node for node in graph.node if node.op == "Placeholder"]
    if len(inputs) != 1:
        names = ", ".join(node.name for node in inputs) or "none"
        raise ModelInvalid(f"{where} must take one input, an image batch; it takes {names}")
    if output not in {node.name for node in graph.node}:
        last = graph.node[-1].name if graph.node else "none at all"
        raise ModelInvalid(
            f"the card's output {output!r} does not exist: it is no node of {where}; "
            f"the last one is {last}"
        )
    (placeholder,) = inputs
    fed = to_feed(graph, f"{placeholder.name}:0")

    # Traced once and called as it is: pruning a wrapped graph would hold all the weights again.
    def run(image: "Tensor") -> "Tensor":
        (scores,) = tf.import_graph_def(
            graph,
            input_map=dict.fromkeys(fed, image),
            return_elements=[f"{output}:0"],
            name="",
        )
        return scores

    try:
        spec = tf.TensorSpec(
            tf.TensorShape(placeholder.attr["shape"].shape),
            tf.as_dtype(placeholder.attr["dtype"].type),
            placeholder.name,
        )
        function = tf.compat.v1.wrap_function(run, [spec])
    except (ValueError, TypeError, LookupError, tf.errors.OpError) as exc:
        raise ModelInvalid(f"TensorFlow cannot load {where}: {first_line(exc)}") from exc
    signature = Signature(
        inputs=(tensor_spec(placeholder.name, spec),),
        outputs=(tensor_spec(output, function.outputs[0]),),
    )

    def call(image: "Tensor") -> "Mapping[str, Tensor]":
        return {output: function(image)}

    return SavedFunction(tf, signature, call)
