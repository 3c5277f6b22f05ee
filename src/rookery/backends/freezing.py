"""A TensorFlow function to one graph with its weights inside, as every library reads it."""

from typing import TYPE_CHECKING, Final

from rookery.errors import ModelInvalid

if TYPE_CHECKING:
    from collections.abc import Callable

    from tensorflow import Tensor
    from tensorflow.core.framework.graph_pb2 import GraphDef

INPUT: Final = "image"
"""What the only input of a frozen graph is called."""

# Constants folded and control dependencies dropped: OpenCV reads nothing else. What goes on to
# fuse operations would write ones that only TensorFlow knows.
_OPTIMIZERS: Final = ("pruning", "constfold", "dependency")
_MAX_BYTES: Final = 2 * 1024**3 - 1  # protobuf's own limit


def freeze(
    call: "Callable[[Tensor], Tensor]", shape: tuple[int | None, ...], output: str
) -> "GraphDef":
    """Return *call* as a graph from placeholder `image`, float32 of *shape*, to node *output*.

    Raises:
        ModelInvalid: it has state that no constant can hold, such as a table, or is too large.
    """
    if output == INPUT:
        raise ModelInvalid(f"the model cannot be frozen: its output is called {INPUT!r}, too")
    import tensorflow as tf  # noqa: PLC0415 - takes seconds
    from tensorflow.python.framework.convert_to_constants import (  # noqa: PLC0415
        convert_variables_to_constants_v2,
    )

    def serve(image: "Tensor") -> "Tensor":
        return tf.identity(call(image), name=output)

    spec = tf.TensorSpec(shape, tf.float32, name=INPUT)
    try:
        traced = tf.function(serve, input_signature=[spec], autograph=False).get_concrete_function()
        frozen = convert_variables_to_constants_v2(traced)
        graph = _optimize(frozen.graph.as_graph_def(), output)
    except (ValueError, TypeError, LookupError, RuntimeError, tf.errors.OpError) as exc:
        reason = str(exc).strip().partition("\n")[0] or type(exc).__name__
        raise ModelInvalid(f"TensorFlow cannot freeze the model: {reason}") from exc
    left = [node.name for node in graph.node if node.op == "Placeholder" and node.name != INPUT]
    if left:
        raise ModelInvalid(
            f"TensorFlow cannot freeze the model: it still needs {', '.join(left[:3])}"
        )
    if graph.ByteSize() > _MAX_BYTES:
        raise ModelInvalid("the model is larger than the 2 GiB that a graph file may have")
    return graph


def _optimize(graph: "GraphDef", output: str) -> "GraphDef":
    """Return what node *output* of *graph* needs, with constants folded."""
    import tensorflow as tf  # noqa: PLC0415 - takes seconds
    from tensorflow.core.protobuf import config_pb2, rewriter_config_pb2  # noqa: PLC0415
    from tensorflow.python.grappler import tf_optimizer  # noqa: PLC0415

    with tf.Graph().as_default() as scope:
        tf.import_graph_def(graph, name="")
        described = tf.compat.v1.train.export_meta_graph(graph=scope, graph_def=graph)
    # What Grappler must leave in place, by a name it looks for.
    described.collection_def["train_op"].node_list.value.append(f"{output}:0")
    config = config_pb2.ConfigProto()
    rewrite = config.graph_options.rewrite_options
    rewrite.optimizers.extend(_OPTIMIZERS)
    rewrite.min_graph_nodes = -1
    rewrite.meta_optimizer_iterations = rewriter_config_pb2.RewriterConfig.TWO
    optimized: GraphDef = tf_optimizer.OptimizeGraph(config, described)
    return optimized
