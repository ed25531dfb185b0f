"""Built graphs are compared with torch before they are used."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

import numpy as np
import torch

from dcfm_ros.arrays import Image
from dcfm_ros.config import Size
from dcfm_ros.engines.graph.base import Runner, labels_of
from dcfm_ros.errors import DcfmError
from dcfm_ros.model.dcfm import DCFM, normalise

logger = logging.getLogger(__name__)

MIN_AGREEMENT = {"fp32": 0.999, "fp16": 0.95, "bf16": 0.85, "int8": 0.85}
"""Share of pixels labelled as torch in fp32 labels them. A graph that is compiled wrongly is far below.

Synthetic pictures, where no class is certain, have many more ties than real ones: a trained model in bf16 agrees on 94.7 % of
their pixels.
"""
CHECKED_FRAMES = 4


def check_graphs(
    model: DCFM, runners: Mapping[str, Runner], size: Size, precision: str, frames: Sequence[Image] = ()
) -> float:
    """The least agreement of graphs with the model over some frames, which all borrow the first one's common feature.

    frames: real ones, where there are any. Raises DcfmError when it is too small.
    """
    agreements = []
    pictures = [np.ascontiguousarray(frame) for frame in frames[:CHECKED_FRAMES]]
    pictures = pictures or [_picture(size, seed) for seed in range(2)]
    (common,) = runners["common"](*runners["independent"](pictures[0][None]))
    expected_common = None
    for frame in pictures:
        with torch.inference_mode():
            image = torch.from_numpy(frame).permute(2, 0, 1)[None]
            independent = model.encode_independent(normalise(image, model.card))
            if expected_common is None:
                expected_common = model.encode_common(None, independent)
            expected = model.logits(expected_common, independent).argmax(1).numpy()
        (logits,) = runners["logits"](common, *runners["independent"](frame[None]))
        agreements.append(float((labels_of(logits) == expected).mean()))
    agreement = min(agreements)
    logger.info("the built graphs label %.3f %% of the pixels as torch in fp32 does", 100 * agreement)
    if not agreement >= MIN_AGREEMENT[precision]:
        raise DcfmError(
            f"the built graphs label {100 * agreement:.2f} % of the pixels as torch does; "
            f"in {precision} at least {100 * MIN_AGREEMENT[precision]:.1f} % are expected; use another precision or engine"
            + (", or calibrate on frames from your camera" if precision == "int8" else "")
        )
    return agreement


def _picture(size: Size, seed: int) -> Image:
    """A picture with shapes of all sizes, where there is no real one."""
    width, height = size
    generator = torch.Generator().manual_seed(seed)
    total = torch.zeros(3, height, width)
    for cells in (2, 5, 12, 40):
        noise = torch.rand(1, 3, cells, cells, generator=generator)
        total += torch.nn.functional.interpolate(noise, (height, width), mode="bicubic")[0]
    return (total * 64).clamp(0, 255).to(torch.uint8).permute(1, 2, 0).contiguous().numpy()
