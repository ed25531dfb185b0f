"""An OpenVINO graph cut into pieces of about the same cost, each a graph of its own."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

WINDOW = 0.3
"""How far, in pieces, a cut may lie from where the costs would be even: where little has to be handed on is better."""
BYTE_COST = 16
"""Multiplications that take about as long as writing one byte."""


@dataclass(frozen=True)
class Piece:
    """A graph (an openvino.Model), and its inputs and outputs in order: names that are the same in all pieces."""

    model: Any
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


def cut(model: Any, pieces: int) -> list[Piece]:
    """At most `pieces` graphs, which one after the other compute what `model` does.

    model: an openvino.Model of fixed shapes with one input and one output; it is not changed. The first piece has that
    input alone, the last one that output alone.
    """
    from openvino import passes

    model = model.clone()
    manager = passes.Manager()
    manager.register_pass(passes.ConstantFolding())
    manager.run_passes(model)
    steps = _steps(model)
    borders = _borders(steps, pieces)
    names = [node.get_friendly_name() for node in steps]
    return [_carve(model.clone(), set(names[begin:end])) for begin, end in zip(borders, borders[1:])]


def _steps(model: Any) -> list[Any]:
    """The nodes that depend on an input, in an order in which they can be computed, without inputs and results."""
    moving: set[str] = set()
    steps = []
    for node in model.get_ordered_ops():
        kind = node.get_type_name()
        sources = [value.get_source_output().get_node().get_friendly_name() for value in node.inputs()]
        if kind == "Parameter" or any(name in moving for name in sources):
            moving.add(node.get_friendly_name())
            if kind not in ("Parameter", "Result"):
                steps.append(node)
    return steps


def _borders(steps: list[Any], pieces: int) -> list[int]:
    """Indices of steps at which pieces begin, from 0, and the number of steps."""
    costs = [_cost(node) for node in steps]
    handed_on = _handed_on(steps)
    total, done = sum(costs), 0.0
    candidates: dict[int, list[tuple[float, int]]] = {}
    for i, cost in enumerate(costs[:-1]):
        done += cost
        place = done / total * pieces
        nearest = round(place)
        if 0 < nearest < pieces and abs(place - nearest) <= WINDOW:
            candidates.setdefault(nearest, []).append((handed_on[i], i + 1))
    return [0, *sorted({min(places)[1] for places in candidates.values()}), len(steps)]


def _cost(node: Any) -> float:
    """About how long a node takes, in multiplications."""
    output = sum(math.prod(value.get_shape()) * value.get_element_type().size for value in node.outputs())
    return output * BYTE_COST + multiplications(node)


def multiplications(node: Any) -> int:
    """Those of a convolution or a matrix product; 0 for another node."""
    per_number = 0
    if node.get_type_name() == "MatMul":
        per_number = node.input(0).get_shape()[-1]
    elif node.get_type_name() in ("Convolution", "GroupConvolution"):
        # Weights are outputs×inputs×kernel, or groups×outputs×inputs×kernel.
        skip = 1 if node.get_type_name() == "Convolution" else 2
        per_number = math.prod(node.input(1).get_shape()[skip:])
    return int(math.prod(node.output(0).get_shape()) * per_number)


def _handed_on(steps: list[Any]) -> list[float]:
    """Bytes that are computed up to each step and needed after it."""
    place = {node.get_friendly_name(): i for i, node in enumerate(steps)}
    change = [0.0] * (len(steps) + 1)
    for i, node in enumerate(steps):
        for value in node.outputs():
            readers = [
                place.get(target.get_node().get_friendly_name(), i) for target in value.get_target_inputs()
            ]
            size = math.prod(value.get_shape()) * value.get_element_type().size
            change[i] += size
            change[max([i, *readers])] -= size
    live, total = [], 0.0
    for step in change[:-1]:
        total += step
        live.append(total)
    return live


def _carve(model: Any, inside: set[str]) -> Piece:
    """The steps named in `inside` of a model, which is used up."""
    from openvino import Model, opset13

    steps = _steps(model)
    moving = {node.get_friendly_name() for node in steps} | {
        node.get_friendly_name() for node in model.get_parameters()
    }
    mine = [node for node in steps if node.get_friendly_name() in inside]
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
