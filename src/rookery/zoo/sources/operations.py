"""Which operations a TensorFlow graph of somebody else may have."""

import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Final

from rookery.backends.savedmodel import import_tensorflow
from rookery.errors import ModelInvalid

if TYPE_CHECKING:
    from tensorflow.core.framework.attr_value_pb2 import AttrValue
    from tensorflow.core.framework.graph_pb2 import GraphDef
    from tensorflow.core.framework.node_def_pb2 import NodeDef
    from tensorflow.core.protobuf.meta_graph_pb2 import MetaGraphDef

# A graph is a program. TensorFlow calls stateful what does more than compute; of that, a
# classifier needs calls, variables, tables, lists and random numbers, all of them in memory.
_STATEFUL: Final = re.compile(
    r"""Assert|CheckNumerics(V2)?|Empty|GuaranteeConst
    |Case|If|StatefulPartitionedCall|While
    |Assign(Add|Sub)?VariableOp|DestroyResourceOp|DisableCopyOnRead|ReadVariableOp
    |ResourceGather(Nd)?|VarHandleOp|VarIsInitializedOp|Variable(V2)?|VariableShape
    |(Anonymous)?(Mutable|MutableDense)?HashTable(V2)?|InitializeTableV2
    |LookupTable(Export|Find|Import|Insert|Remove|Size)V2
    |TensorArray(Close|Concat|Gather|Read|Scatter|Size|Split|Write)?V3
    |Multinomial|NonDeterministicInts|ParameterizedTruncatedNormal|RngReadAndSkip|RngSkip
    |Random(Gamma|PoissonV2|Shuffle|StandardNormal|Uniform|UniformInt)
    |SampleDistortedBoundingBox(V2)?|TruncatedNormal|StatelessRandomGetAlg
    |Stateful(RandomBinomial|StandardNormal(V2)?|TruncatedNormal|Uniform(FullInt|Int)?)""",
    re.VERBOSE,
)
_RESTORES: Final = frozenset({"Restore", "RestoreSlice", "RestoreV2"})
# TensorFlow calls some operations stateless that reach files, the network or code of others.
_REACHES: Final = re.compile(
    r"Checkpoint|codeProto|CustomCall|Dataset|Debug|File(?!name|spec)|ImmutableConst|Iterator"
    r"|PyFunc|Reader|RemoteCall|Rpc|Summar|SymbolicGradient|VocabRemapping|^Copy(Host)?$"
)
# What keeps variables, which every SavedModel brings along.
_SAVES: Final = _RESTORES | {"MergeV2Checkpoints", "Save", "SaveSlices", "SaveV2"}
# What loading a SavedModel runs, beside what its object graph names.
_INITIALIZERS: Final = ("legacy_init_op", "saved_model_main_op", "table_initializer")


def check_operations(graph: "GraphDef", where: str) -> None:
    """Refuse *graph*, which is called *where*, if this TensorFlow must not or cannot run it.

    Raises:
        ModelInvalid: an operation is unknown, keeps state, or reaches out of the graph.
    """
    nodes = [*_nodes(graph)]
    _refuse(_forbidden(nodes), where)
    _refuse_unknown(graph, nodes, where)


def check_saved_operations(saved: "MetaGraphDef", where: str) -> None:
    """Refuse *saved* as `check_operations` does, but for what saves and restores its variables.

    Raises:
        ModelInvalid: an operation is unknown, keeps state, or reaches out of the graph.
    """
    graph, collections, objects = saved.graph_def, saved.collection_def, saved.object_graph_def
    nodes = [*_nodes(graph)]
    starts = [info.name for one in saved.signature_def.values() for info in one.outputs.values()]
    for name in _INITIALIZERS:
        starts += collections[name].node_list.value
    functions = [*objects.concrete_functions]
    for node in objects.nodes:
        functions += node.function.concrete_functions
        functions.append(node.bare_concrete_function.concrete_function_name)
    # Local variables bring initializers of their own, which loading may run.
    saves = frozenset[str]() if collections["local_variables"].bytes_list.value else _SAVES
    restored = _reached(graph, [saved.saver_def.restore_op_name], [])
    _refuse(
        (_forbidden(nodes) - saves)
        | _forbidden(_reached(graph, starts, functions))
        | (_forbidden(restored) - _RESTORES),
        where,
    )
    _refuse_unknown(graph, nodes, where)


def _refuse(forbidden: set[str], where: str) -> None:
    if forbidden:
        raise ModelInvalid(
            f"{where} uses {', '.join(sorted(forbidden))}, which reaches files, the network or "
            "code outside of the graph, or keeps state; export the network alone, without "
            "reading, printing or training"
        )


def _refuse_unknown(graph: "GraphDef", nodes: "Iterable[NodeDef]", where: str) -> None:
    tf = import_tensorflow()
    from tensorflow.python.framework import op_def_registry  # noqa: PLC0415 - takes seconds

    own = {function.signature.name for function in graph.library.function}
    unknown = sorted(
        op for op in {node.op for node in nodes} - own if op_def_registry.get(op) is None
    )
    if unknown:
        raise ModelInvalid(
            f"{where} uses {', '.join(unknown)}, which TensorFlow {tf.__version__} does not know: "
            "an operation of another library; export the model without it, or as ONNX"
        )


def _forbidden(nodes: "Iterable[NodeDef]") -> set[str]:
    from tensorflow.python.framework import op_def_registry  # noqa: PLC0415 - takes seconds

    # A function of the graph is in no registry, but one may be called like an operation.
    known = {op: op_def_registry.get(op) for op in {node.op for node in nodes}}
    return {
        op
        for op, described in known.items()
        if described is not None
        and (_REACHES.search(op) or (described.is_stateful and not _STATEFUL.fullmatch(op)))
    }


def _nodes(graph: "GraphDef") -> "Iterator[NodeDef]":
    yield from graph.node
    for function in graph.library.function:
        yield from function.node_def


def _reached(
    graph: "GraphDef", tensors: Iterable[str], functions: Iterable[str]
) -> "list[NodeDef]":
    """Return the nodes of *graph* that its *tensors* and *functions* need, and what they call."""
    nodes = {node.name: node for node in graph.node}
    waiting = {name.removeprefix("^").partition(":")[0] for name in tensors}
    found: list[NodeDef] = []
    while waiting:
        node = nodes.pop(waiting.pop(), None)
        if node is not None:
            found.append(node)
            waiting |= {name.removeprefix("^").partition(":")[0] for name in node.input}
    bodies = {one.signature.name: one.node_def for one in graph.library.function}
    called = {*functions, *_called(found)}
    while called:
        # All of its nodes: TensorFlow runs those with state, needed or not.
        body = bodies.pop(called.pop(), ())
        found += body
        called |= {*_called(body)}
    return found


def _called(nodes: "Iterable[NodeDef]") -> Iterator[str]:
    for node in nodes:
        yield node.op
        yield from _named(node.attr.values())


def _named(attributes: "Iterable[AttrValue]") -> Iterator[str]:
    """Yield the functions that *attributes* name."""
    for attribute in attributes:
        for function in (attribute.func, *attribute.list.func):
            if function.name:
                yield function.name
                yield from _named(function.attr.values())
