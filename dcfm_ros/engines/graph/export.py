"""The model as graphs that other libraries run: its three functions as ONNX files for one input size.

Features lie channel-last between the graphs, which is how convolutions on CPUs and tensor cores leave them.
"""

from __future__ import annotations

import inspect
import json
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from dcfm_ros.config import Size
from dcfm_ros.engines.graph.forms import (
    channel_first,
    channel_last,
    fused_logits,
    is_pointwise,
    use_graph_forms,
)
from dcfm_ros.errors import required
from dcfm_ros.model.config import to_json
from dcfm_ros.model.dcfm import DCFM
from dcfm_ros.model.fold import fold
from dcfm_ros.version import __version__

OPSET = 17


@dataclass(frozen=True)
class GraphSpec:
    """A graph's name and what goes in and out, in order."""

    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


GRAPHS = {
    spec.name: spec
    for spec in (
        GraphSpec("independent", ("image",), ("independent",)),
        GraphSpec("common", ("independent",), ("common",)),
        GraphSpec("logits", ("common", "independent"), ("logits",)),
    )
}
"""image: uint8 1×H×W×3, RGB. independent, common: float32 1×h×w×C. logits: float32 1×h×classes×w; where the model
`is_pointwise`, a file leaves h open: any number of rows of both features give theirs of the logits."""
ROWS = "rows"
"""The name of the dimension that is left open, and its place in all of the shapes."""
ROWS_AXIS = 1
LOGITS_CLASSES = 2
"""The axis of the classes in logits."""


class Graph(nn.Module):
    """One of GRAPHS, over a folded model."""

    mean: Tensor

    def __init__(self, spec: GraphSpec, folded: DCFM) -> None:
        super().__init__()
        self.spec = spec
        self.model = folded
        self.register_buffer("mean", 255 * torch.tensor(folded.card.mean))

    def forward(self, *inputs: Tensor) -> Tensor:
        return getattr(self, self.spec.name)(*inputs)

    def independent(self, image: Tensor) -> Tensor:
        return channel_last(self.model.encode_independent((image.float() - self.mean).permute(0, 3, 1, 2)))

    def common(self, independent: Tensor) -> Tensor:
        common = self.model.encode_common(None, channel_first(independent))
        return channel_last(self.model.prepare_common(common))

    def logits(self, common: Tensor, independent: Tensor) -> Tensor:
        return fused_logits(self.model, common, independent)


@torch.no_grad()
def export_graphs(model: DCFM, size: Size, folder: Path) -> dict[str, Path]:
    """Writes GRAPHS as `folder`/NAME.onnx for images of `size` = (width, height); returns their paths by name.

    Raises DcfmError where the library that writes ONNX is not installed.
    """
    folded = fold(model)
    use_graph_forms(folded)
    paths = {}
    values: dict[str, Tensor] = {"image": torch.zeros(1, size[1], size[0], 3, dtype=torch.uint8)}
    for spec in GRAPHS.values():
        graph = Graph(spec, folded).eval()
        inputs = tuple(values[name] for name in spec.inputs)
        (output,) = spec.outputs
        values[output] = graph(*inputs)
        paths[spec.name] = folder / f"{spec.name}.onnx"
        write_graph(graph, spec, inputs, paths[spec.name], _dynamic_axes(graph))
    return paths


def add_metadata(path: Path, model: DCFM, size: Size) -> None:
    """Has an ONNX file say about itself: configuration, card and input size as JSON, and who wrote it.

    Raises DcfmError where `onnx` is not installed.
    """
    onnx = required("onnx", "exporting a model")
    graph = onnx.load(str(path))
    values = {"config": to_json(model.config), "card": to_json(model.card), "input_size": json.dumps(size)}
    onnx.helper.set_model_props(graph, {"dcfm_ros": __version__, **values})
    onnx.save(graph, str(path))


def write_graph(
    module: nn.Module,
    spec: GraphSpec,
    inputs: tuple[Tensor, ...],
    path: Path,
    dynamic_axes: dict[str, dict[int, str]] | None = None,
) -> None:
    """Writes a module as an ONNX file; `inputs` are examples, whose sizes it keeps but for `dynamic_axes`."""
    options: dict[str, Any] = {"opset_version": OPSET, "dynamic_axes": dynamic_axes}
    if "dynamo" in inspect.signature(torch.onnx.export).parameters:
        # The exporter that every torch since 2.1 has, and that needs no further package.
        options["dynamo"] = False
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of shapes that become constants, as they should
        torch.onnx.export(
            module,
            inputs,
            str(path),
            input_names=list(spec.inputs),
            output_names=list(spec.outputs),
            **options,
        )


def _dynamic_axes(graph: Graph) -> dict[str, dict[int, str]] | None:
    if graph.spec.name != "logits" or not is_pointwise(graph.model):
        return None
    return {name: {ROWS_AXIS: ROWS} for name in (*graph.spec.inputs, *graph.spec.outputs)}
