"""An ONNX graph cut into pieces of about the same cost, each a graph of its own."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dcfm_ros.engines.graph.cutting import Piece, Step, borders
from dcfm_ros.errors import required

FLOAT_BYTES = 4


def cut(path: Path, pieces: int) -> list[Piece]:
    """At most `pieces` graphs, each a serialised ONNX model, which one after the other compute what the model in the file does.

    It has fixed shapes, one input and one output, and no node that depends on weights alone: ONNX Runtime writes models
    so that it has optimised. The first piece has that input alone, the last one that output alone.
    Raises DcfmError where `onnx` is not installed.
    """
    onnx = required("onnx", "cutting a graph")
    model = onnx.shape_inference.infer_shapes(onnx.load(str(path)))
    graph = model.graph
    values = {value.name: value for value in (*graph.value_info, *graph.input, *graph.output)}
    shapes = {name: _shape(value) for name, value in values.items()}
    weights = {weight.name: weight for weight in graph.initializer}
    shapes.update((name, tuple(weight.dims)) for name, weight in weights.items())
    begins = borders([_step(node, shapes) for node in graph.node], pieces)
    made = []
    for begin, end in zip(begins, begins[1:]):
        nodes, later = graph.node[begin:end], graph.node[end:]
        inputs, outputs = _ends(nodes, later, weights, [value.name for value in graph.output])
        used = {name for node in nodes for name in node.input}
        piece = onnx.helper.make_graph(
            nodes,
            "piece",
            [values[name] for name in inputs],
            [values[name] for name in outputs],
            [weight for name, weight in weights.items() if name in used],
        )
        whole = onnx.helper.make_model(piece, opset_imports=model.opset_import, ir_version=model.ir_version)
        made.append(Piece(whole.SerializeToString(), inputs, outputs))
    return made


def _ends(
    nodes: Sequence[Any], later: Sequence[Any], weights: Mapping[str, Any], results: Sequence[str]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The values that some nodes need of earlier ones, and those of theirs that later nodes or the results need."""
    own = [name for node in nodes for name in node.output]
    needed = dict.fromkeys(name for node in nodes for name in node.input if name)
    wanted = {name for node in later for name in node.input}.union(results)
    inputs = tuple(name for name in needed if name not in weights and name not in own)
    return inputs, tuple(name for name in own if name in wanted)


def _step(node: Any, shapes: Mapping[str, tuple[int, ...]]) -> Step:
    made = {name: FLOAT_BYTES * math.prod(shapes[name]) for name in node.output if name}
    multiplications = _multiplications(node, shapes)
    return Step(multiplications, made, frozenset(node.input), multiplications > 0)


def _multiplications(node: Any, shapes: Mapping[str, tuple[int, ...]]) -> int:
    """How many a convolution or a matrix product does; 0 for another node."""
    per_number = 0
    if node.op_type in ("MatMul", "Gemm"):
        per_number = shapes[node.input[0]][-1]
    elif node.op_type == "Conv":
        per_number = math.prod(shapes[node.input[1]][1:])
    return math.prod(shapes[node.output[0]]) * per_number


def _shape(value: Any) -> tuple[int, ...]:
    return tuple(dimension.dim_value for dimension in value.type.tensor_type.shape.dim)
