"""An OpenVINO graph cut into pieces of about the same cost, each a graph of its own."""

from __future__ import annotations

import math
from typing import Any

from dcfm_ros.engines.graph.cutting import Piece, Step, borders

QUANTISE = "FakeQuantize"
INT8 = ("i8", "u8")
NOT_FOLDED = "DisableConstantFolding_0"
"""OpenVINO's own mark of a node that is to stay what it is."""


def cut(model: Any, pieces: int) -> list[Piece]:
    """At most `pieces` graphs, each an openvino.Model, which one after the other compute what `model` does.

    model: an openvino.Model of fixed shapes with one input and one output; it is not changed. The first piece has that
    input alone, the last one that output alone.
    """
    from openvino import passes

    model = model.clone()
    for node in model.get_ops():
        # Weights that were float32 constants would compute in float32.
        if node.get_type_name() == "Convert" and node.input(0).get_element_type().get_type_name() in INT8:
            node.get_rt_info()[NOT_FOLDED] = ""
    manager = passes.Manager()
    manager.register_pass(passes.ConstantFolding())
    manager.run_passes(model)
    nodes = _moving_nodes(model)
    begins = borders([_step(node) for node in nodes], pieces)
    names = [node.get_friendly_name() for node in nodes]
    return [_carve(model.clone(), set(names[begin:end])) for begin, end in zip(begins, begins[1:])]


def multiplications(node: Any) -> int:
    """How many a convolution or a matrix product does; 0 for another node."""
    per_number = 0
    if node.get_type_name() == "MatMul":
        per_number = node.input(0).get_shape()[-1]
    elif node.get_type_name() in ("Convolution", "GroupConvolution"):
        # Weights are outputs×inputs×kernel, or groups×outputs×inputs×kernel.
        skip = 1 if node.get_type_name() == "Convolution" else 2
        per_number = math.prod(node.input(1).get_shape()[skip:])
    return int(math.prod(node.output(0).get_shape()) * per_number)


def _moving_nodes(model: Any) -> list[Any]:
    """The nodes that depend on an input, in an order in which they can be computed, without inputs and results."""
    moving: set[str] = set()
    nodes = []
    for node in model.get_ordered_ops():
        kind = node.get_type_name()
        sources = [value.get_source_output().get_node().get_friendly_name() for value in node.inputs()]
        if kind == "Parameter" or any(name in moving for name in sources):
            moving.add(node.get_friendly_name())
            if kind not in ("Parameter", "Result"):
                nodes.append(node)
    return nodes


def _step(node: Any) -> Step:
    return Step(
        multiplications(node),
        {
            _name(value): math.prod(value.get_shape()) * value.get_element_type().size
            for value in node.outputs()
        },
        frozenset(_name(value.get_source_output()) for value in node.inputs()),
        begins=(bool(multiplications(node)) and not _is_quantised(node)) or node.get_type_name() == QUANTISE,
    )


def _is_quantised(node: Any) -> bool:
    """Whether it computes in int8, which it does in one piece with what quantises its input."""
    sources = [value.get_source_output().get_node() for value in node.inputs()]
    return any(source.get_type_name() == QUANTISE for source in sources)


def _carve(model: Any, inside: set[str]) -> Piece:
    """The nodes named in `inside` of a model, which is used up."""
    from openvino import Model, opset13

    nodes = _moving_nodes(model)
    moving = {node.get_friendly_name() for node in nodes} | {
        node.get_friendly_name() for node in model.get_parameters()
    }
    mine = [node for node in nodes if node.get_friendly_name() in inside]
    outputs = {
        _name(value): opset13.result(value)
        for node in mine
        for value in node.outputs()
        if any(target.get_node().get_friendly_name() not in inside for target in value.get_target_inputs())
    }
    inputs: dict[str, Any] = {}
    for node in mine:
        for value in node.inputs():
            source = value.get_source_output()
            producer = source.get_node().get_friendly_name()
            if producer in inside or producer not in moving:
                continue
            name = _name(source)
            if name not in inputs:
                inputs[name] = opset13.parameter(source.get_shape(), source.get_element_type())
            value.replace_source_output(inputs[name].output(0))
    return Piece(Model(list(outputs.values()), list(inputs.values()), "piece"), tuple(inputs), tuple(outputs))


def _name(value: Any) -> str:
    return f"{value.get_node().get_friendly_name()}:{value.get_index()}"
