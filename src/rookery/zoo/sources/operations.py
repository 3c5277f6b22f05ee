"""Which operations a TensorFlow graph of somebody else may have."""

from typing import TYPE_CHECKING, Final

from rookery.backends.savedmodel import import_tensorflow
from rookery.errors import ModelInvalid

if TYPE_CHECKING:
    from tensorflow.core.framework.graph_pb2 import GraphDef

# A graph is a program. No classifier needs these, and an attacker does.
_FORBIDDEN: Final = frozenset(
    {"EagerPyFunc", "MatchingFiles", "PyFunc", "PyFuncStateless", "ReadFile", "WriteFile"}
)


def check_operations(graph: "GraphDef", where: str) -> None:
    """Refuse *graph*, which is called *where*, if this TensorFlow must not or cannot run it.

    Raises:
        ModelInvalid: an operation is unknown, or reaches out of the graph.
    """
    tf = import_tensorflow()
    from tensorflow.python.framework import op_def_registry  # noqa: PLC0415 - takes seconds

    own = {function.signature.name for function in graph.library.function}
    nodes = [*graph.node]
    for function in graph.library.function:
        nodes += function.node_def
    used = {node.op for node in nodes} - own
    if forbidden := sorted(used & _FORBIDDEN):
        raise ModelInvalid(
            f"{where} uses {', '.join(forbidden)}, which reaches files or Python code; "
            "export the network alone, without reading or printing"
        )
    unknown = sorted(op for op in used if op_def_registry.get(op) is None)
    if unknown:
        raise ModelInvalid(
            f"{where} uses {', '.join(unknown)}, which TensorFlow {tf.__version__} does not know: "
            "an operation of another library; export the model without it, or as ONNX"
        )
