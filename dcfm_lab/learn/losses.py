"""The three terms of the symmetric training (paper 3.3) and their sum.

A labelled frame and an unlabelled neighbour pass through the network together. Cross entropy asks the labelled frame's
mask to be right both with its own common feature and with the neighbour's: the deep branch has to give what both frames
have in common. Consistency asks the two frames' fused features to be alike where both are labelled alike.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor

from dcfm_lab.learn.config import DistillConfig, LossConfig
from dcfm_ros.arrays import UNLABELLED
from dcfm_ros.engines.warp import warp_tensor
from dcfm_ros.model.dcfm import DCFM
from dcfm_ros.model.heads import resize


@dataclass(frozen=True)
class Losses:
    """Scalars, each a mean before its weight is applied; a term that is switched off is None."""

    own: Tensor | None
    reused: Tensor | None
    consistency: Tensor | None
    total: Tensor


def upsampled(logits: Tensor, like: Tensor) -> Tensor:
    """Logits as float32 in the height and width of `like`; where they have them, nothing is computed."""
    size = like.shape[-2:]
    if logits.shape[-2:] == size:
        return logits.float()
    return F.interpolate(logits.float(), size, mode="bilinear", align_corners=False)


def cross_entropy(logits: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
    """Mean cross entropy of low-resolution logits, upsampled to the target.

    logits: float N×C×h×w. target: uint8 or int64 N×H×W of class ids, 255 = ignored. weight: float (C,), or None.
    """
    logits = upsampled(logits, target)
    total = F.cross_entropy(logits, target.long(), weight, ignore_index=UNLABELLED, reduction="sum")
    known = target != UNLABELLED
    count = known.sum() if weight is None else weight[target[known].long()].sum()
    return total / torch.clamp(_mean_over_processes(count.float()), min=1e-6)


def lovasz_softmax(logits: Tensor, target: Tensor, stride: int = 2) -> Tensor:
    """Mean over the classes in `target` of the Lovász extension of 1 - IoU, 0-1 (Berman et al. 2018, arXiv 1705.08790).

    Cross entropy counts pixels, mIoU counts classes: this is what pulls at thin and rare things without calling too much
    by their names, as heavy class weights do. Shapes as for `cross_entropy`; every stride-th pixel of every stride-th row
    is looked at, since each class sorts them all. Computed over this process's part of the batch.
    """
    logits = upsampled(logits, target)
    logits, target = logits[:, :, ::stride, ::stride], target[:, ::stride, ::stride]
    known = target != UNLABELLED
    classes = target[known].unique().long()
    if not len(classes):
        return logits.sum() * 0.0
    # What is not labelled counts as rightly found to be of no class: no error, no share in any loss.
    probability = (logits.softmax(1) * known.unsqueeze(1)).movedim(1, 0).flatten(1)[classes]
    return lovasz_extension(probability, target.flatten() == classes.unsqueeze(1)).mean()


def lovasz_extension(probability: Tensor, truth: Tensor) -> Tensor:
    """The Lovász extension of 1 - IoU of one class or, with further dimensions in front, of each of several.

    probability: float (..., pixels); truth: bool (..., pixels), no class all False.
    """
    error, order = (truth.float() - probability).abs().sort(-1, descending=True)
    found = truth.gather(-1, order).float().cumsum(-1)
    total = found[..., -1:]
    # 1 - IoU if exactly the i worst pixels were wrong; each pixel's weight is what it adds.
    wrong = torch.arange(1, error.shape[-1] + 1, device=error.device)
    loss = 1 - (total - found) / (total + wrong - found)
    return (error * torch.diff(loss, prepend=torch.zeros_like(total))).sum(-1)


def consistency(fused: Tensor, fused_neighbour: Tensor, logits: Tensor, logits_neighbour: Tensor) -> Tensor:
    """Mean squared difference of two frames' fused features, counted as 0 where the two are labelled differently.

    fused: float N×C×h×w; logits: float N×classes×h×w at the same resolution.
    """
    agree = (logits.argmax(1) == logits_neighbour.argmax(1)).unsqueeze(1)
    return ((fused.float() - fused_neighbour.float()).square() * agree).mean()


def distillation(logits: Tensor, taught: Tensor, temperature: float) -> Tensor:
    """Mean divergence (Kullback and Leibler's) of upsampled logits from what is taught, times temperature².

    logits: float N×C×h×w. taught: float N×C×H×W, probabilities at that temperature, all 0 where nothing is taught. The
    factor keeps the gradient's size whatever the temperature (Hinton et al. 2015, arXiv 1503.02531).
    """
    logits = upsampled(logits, taught)
    total = F.kl_div(F.log_softmax(logits / temperature, 1), taught, reduction="sum")
    count = (taught.sum(1) > 0.5).sum().float()
    return temperature**2 * total / torch.clamp(_mean_over_processes(count), min=1.0)


@dataclass(frozen=True)
class Truth:
    """What a frame's mask is compared with, and how.

    target: uint8 or int64 N×H×W of class ids, 255 = ignored. weight: float (C,), or None. taught: see `distillation`, or
    None.
    """

    target: Tensor
    weight: Tensor | None = None
    taught: Tensor | None = None
    distill: DistillConfig = field(default_factory=DistillConfig)


def segmentation(logits: Tensor, truth: Truth, lovasz: float) -> Tensor:
    """Cross entropy and, where they are asked for, the Lovász-softmax loss and the distillation times their weights."""
    logits = upsampled(logits, truth.target)  # once for all of them
    loss = cross_entropy(logits, truth.target, truth.weight)
    if lovasz > 0:
        loss = loss + lovasz * lovasz_softmax(logits, truth.target)
    if truth.taught is not None:
        loss = loss + truth.distill.weight * distillation(logits, truth.taught, truth.distill.temperature)
    return loss


def _mean_over_processes(count: Tensor) -> Tensor:
    # Gradients are averaged over processes. Dividing each one's sum by the mean count makes that average the gradient
    # of the mean over *all* pixels, however unevenly the labelled ones are spread.
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.all_reduce(count)
        count = count / torch.distributed.get_world_size()
    return count


def aligned(common: Tensor, displacement: Tensor) -> Tensor:
    """Common features, N×C×h×w, moved along a displacement in shares of the picture's sides, N×h×w×2."""
    height, width = common.shape[2:]
    shares = resize(displacement.movedim(-1, 1), common).movedim(1, -1)
    return warp_tensor(common, shares * torch.tensor([width, height], device=common.device))


def _features(
    model: DCFM, frames: Tensor, neighbours: Tensor | None, config: LossConfig
) -> tuple[Tensor, Tensor]:
    """Independent and common features, of the frames and then of their neighbours."""
    if neighbours is None or not config.through_neighbour:
        independent = model.encode_independent(frames)
    else:
        independent = model.encode_independent(torch.cat([frames, neighbours]))
    common = model.encode_common(None, independent)
    if neighbours is None or config.through_neighbour:
        return independent, common
    with torch.no_grad():
        theirs = model.encode_independent(neighbours)
        old = model.encode_common(None, theirs)
    return torch.cat([independent, theirs]), torch.cat([common, old])


def symmetric_losses(
    model: DCFM,
    frames: Tensor,
    neighbours: Tensor,
    truth: Truth,
    config: LossConfig,
    displacement: Tensor | None = None,
) -> Losses:
    """All terms that `config` asks for, from one pass over both frames.

    frames, neighbours: float32 N×3×H×W, normalised. truth: the frames'. Where neither symmetric term is wanted, the
    neighbours are not looked at. displacement: float32 N×h×w×2, as `samples` makes it: the neighbours' common features move
    along it before they are reused, as those of key frames do in a stream; None: they are used where they were.
    """
    n = len(frames)
    paired = config.reused > 0 or config.consistency > 0
    independent, common = _features(model, frames, neighbours if paired else None, config)
    fused = model.fused(common[:n], independent[:n], normalise_first=False)
    logits = model.classify(fused)

    own = segmentation(logits, truth, config.lovasz) if config.own > 0 else None
    reused = None
    if config.reused > 0:
        old = common[n:] if displacement is None else aligned(common[n:], displacement)
        logits_reused = model.classify(model.fused(old, independent[:n], normalise_first=False))
        reused = segmentation(logits_reused, truth, config.lovasz)
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
