"""What a model costs: parameters, and multiply-accumulates of a key frame and of any other frame."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from dcfm_ros.config import Size
from dcfm_ros.model.dcfm import DCFM


@dataclass(frozen=True)
class ModelCost:
    """MACs are of convolutions and matrix products, for one frame at the network's input size.

    A key frame takes both branches and the fusion; any other frame the independent branch and its half of the
    fusion, of which `macs_fusion` is what depends on the common feature: a second common feature takes that
    once more.
    """

    parameters: int
    macs_key: int
    macs_other: int
    macs_fusion: int


def model_cost(model: DCFM, size: Size) -> ModelCost:
    """Counts without computing: the model is copied without its weights. size: (width, height)."""
    model = copy.deepcopy(model).to("meta").eval()
    width, height = size
    x = torch.empty(1, 3, height, width, device="meta")
    with torch.inference_mode():
        independent, shallow = counted(lambda: model.encode_independent(x))
        common, deep = counted(lambda: model.prepare_common(model.encode_common(None, independent)))
        _, fusion = counted(lambda: model.logits_prepared(common, independent))
    return ModelCost(
        parameters=sum(p.numel() for p in model.parameters()),
        macs_key=shallow + deep + fusion,
        macs_other=shallow + fusion,
        macs_fusion=fusion,
    )


def counted(compute: Callable[[], Tensor]) -> tuple[Tensor, int]:
    """What `compute` returns, and the multiply-accumulates of its convolutions and matrix products."""
    with FlopCounterMode(display=False) as counter:
        result = compute()
    return result, counter.get_total_flops() // 2
