"""The three terms of the symmetric training (paper 3.3) and their sum.

A labelled frame and an unlabelled neighbour pass through the network together. Cross entropy asks the labelled frame's
mask to be right both with its own common feature and with the neighbour's: the deep branch has to give what both frames
have in common. Consistency asks the two frames' fused features to be alike where both are labelled alike.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from dcfm_ros.learn.config import LossConfig
from dcfm_ros.model.dcfm import DCFM

IGNORE = 255


@dataclass(frozen=True)
class Losses:
    """Scalars, each a mean before its weight is applied; a term that is switched off is None."""

    own: Tensor | None
    reused: Tensor | None
    consistency: Tensor | None
    total: Tensor


def cross_entropy(logits: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
    """Mean cross entropy of low-resolution logits, upsampled to the target.

    logits: float N×C×h×w. target: uint8 or int64 N×H×W of class ids, 255 = ignored. weight: float (C,), or None.
    """
    logits = F.interpolate(logits.float(), target.shape[1:], mode="bilinear", align_corners=False)
    total = F.cross_entropy(logits, target.long(), weight, ignore_index=IGNORE, reduction="sum")
    known = target != IGNORE
    count = known.sum() if weight is None else weight[target[known].long()].sum()
    return total / torch.clamp(_mean_over_processes(count.float()), min=1e-6)


def lovasz_softmax(logits: Tensor, target: Tensor, stride: int = 2) -> Tensor:
    """Mean over the classes in `target` of the Lovász extension of 1 - IoU, 0-1 (Berman et al. 2018, arXiv 1705.08790).

    Cross entropy counts pixels, mIoU counts classes: this is what pulls at thin and rare things without calling too much
    by their names, as heavy class weights do. Shapes as for `cross_entropy`; every stride-th pixel of every stride-th row
    is looked at, since each class sorts them all. Computed over this process's part of the batch.
    """
    logits = F.interpolate(logits.float(), target.shape[1:], mode="bilinear", align_corners=False)
    logits, target = logits[:, :, ::stride, ::stride], target[:, ::stride, ::stride]
    known = target != IGNORE
    probability = logits.softmax(1).movedim(1, -1)[known]
    target = target[known].long()
    of_class = [
        lovasz_extension(probability[:, index], target == index) for index in target.unique().tolist()
    ]
    return torch.stack(of_class).mean() if of_class else logits.sum() * 0.0


def lovasz_extension(probability: Tensor, truth: Tensor) -> Tensor:
    """The Lovász extension of 1 - IoU of one class. probability: float (pixels,); truth: bool (pixels,), not all False."""
    error, order = (truth.float() - probability).abs().sort(descending=True)
    truth = truth[order].float()
    total = truth.sum()
    # 1 - IoU if exactly the i worst pixels were wrong; each pixel's weight is what it adds.
    loss = 1 - (total - truth.cumsum(0)) / (total + (1 - truth).cumsum(0))
    return (error * torch.diff(loss, prepend=loss.new_zeros(1))).sum()


def consistency(fused: Tensor, fused_neighbour: Tensor, logits: Tensor, logits_neighbour: Tensor) -> Tensor:
    """Mean squared difference of two frames' fused features, counted as 0 where the two are labelled differently.

    fused: float N×C×h×w; logits: float N×classes×h×w at the same resolution.
    """
    agree = (logits.argmax(1) == logits_neighbour.argmax(1)).unsqueeze(1)
    return ((fused.float() - fused_neighbour.float()).square() * agree).mean()


def segmentation(logits: Tensor, target: Tensor, config: LossConfig, weight: Tensor | None) -> Tensor:
    """Cross entropy and, where the configuration asks for it, the Lovász-softmax loss times its weight."""
    loss = cross_entropy(logits, target, weight)
    return loss + config.lovasz * lovasz_softmax(logits, target) if config.lovasz > 0 else loss


def _mean_over_processes(count: Tensor) -> Tensor:
    # Gradients are averaged over processes. Dividing each one's sum by the mean count makes that average the gradient
    # of the mean over *all* pixels, however unevenly the labelled ones are spread.
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.all_reduce(count)
        count = count / torch.distributed.get_world_size()
    return count


def symmetric_losses(
    model: DCFM,
    frames: Tensor,
    neighbours: Tensor,
    target: Tensor,
    config: LossConfig,
    weight: Tensor | None = None,
) -> Losses:
    """All terms that `config` asks for, from one pass over both frames.

    frames, neighbours: float32 N×3×H×W, normalised. target: N×H×W, the frames' class ids, 255 = ignored. Where neither
    symmetric term is wanted, the neighbours are not looked at.
    """
    n = len(frames)
    paired = config.reused > 0 or config.consistency > 0
    independent = model.encode_independent(torch.cat([frames, neighbours]) if paired else frames)
    common = model.encode_common(None, independent)
    fused = model.fused(common[:n], independent[:n], normalise_first=False)
    logits = model.classify(fused)

    own = segmentation(logits, target, config, weight) if config.own > 0 else None
    reused = None
    if config.reused > 0:
        logits_reused = model.classify(model.fused(common[n:], independent[:n], normalise_first=False))
        reused = segmentation(logits_reused, target, config, weight)
    alike = None
    if config.consistency > 0:
        fused_neighbour = model.fused(common[n:], independent[n:], normalise_first=False)
        alike = consistency(fused, fused_neighbour, logits, model.classify(fused_neighbour))

    terms = ((own, config.own), (reused, config.reused), (alike, config.consistency))
    total = sum(
        (term * factor for term, factor in terms if term is not None),
        start=torch.zeros((), device=frames.device),
    )
    return Losses(own, reused, alike, total)
