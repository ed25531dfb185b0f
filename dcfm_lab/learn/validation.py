"""A quick look at how well a model does while it trains. `dcfm evaluate` measures thoroughly."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from dcfm_lab.datasets.base import FrameDataset, evenly_spread
from dcfm_lab.learn.losses import aligned
from dcfm_ros.arrays import UNLABELLED, Image
from dcfm_ros.config import Size
from dcfm_ros.measure.metrics import ConfusionMatrix
from dcfm_ros.model.dcfm import DCFM, normalise

MEAN_IOU = "mIoU"


def validate(model: DCFM, dataset: FrameDataset, frames: int = 0) -> dict[str, float]:
    """mIoU, pixel accuracy and each class's IoU, 0-1, every frame with its own common feature, truth at full size.

    On at most `frames` of the dataset's frames, evenly spread; 0: on all.
    """
    matrix = ConfusionMatrix.empty(model.config.num_classes)
    for index in evenly_spread(len(dataset), frames or len(dataset)):
        frame = dataset[index]
        height, width = frame.label.shape
        image = cv2.resize(frame.image, model.card.input_size, interpolation=cv2.INTER_AREA)
        x = torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))[None].to(_device(model))
        labels = predict(model, x, x, (height, width))[0].cpu().numpy()
        matrix = matrix + ConfusionMatrix.of(labels, frame.label, model.config.num_classes)
    per_class = dict(zip(model.card.classes, matrix.per_class_iou.tolist(), strict=True))
    return {MEAN_IOU: matrix.mean_iou, "pixel_accuracy": matrix.pixel_accuracy, **per_class}


def picture(model: DCFM, batch: Sequence[Tensor], taught: Tensor | None = None, rows: int = 4) -> Image:
    """A row per pair: frame, neighbour, truth, what is taught, mask, mask with the neighbour's common feature.

    uint8 H×W×3 RGB. batch: as `samples` makes it; taught: float N×C×H×W, or None, which leaves its column out.
    """
    frames, neighbours, target = (part[:rows].to(_device(model)) for part in batch[:3])
    size = (target.shape[1], target.shape[2])
    moved = batch[4][:rows].to(_device(model)) if batch[4].numel() else None
    masks = [target, predict(model, frames, frames, size), predict(model, frames, neighbours, size, moved)]
    if taught is not None:
        taught = taught[:rows]
        masks.insert(1, torch.where(taught.sum(1) > 0, taught.argmax(1), UNLABELLED))
    table = np.zeros((256, 3), np.uint8)
    table[: len(model.card.colors)] = model.card.colors
    columns = [x.permute(0, 2, 3, 1).cpu().numpy() for x in (frames, neighbours)]
    columns += [table[mask.cpu().numpy()] for mask in masks]
    return np.concatenate([np.concatenate(list(column), axis=0) for column in columns], axis=1)


@torch.inference_mode()
def predict(
    model: DCFM, frames: Tensor, keys: Tensor, size: Size, displacement: Tensor | None = None
) -> Tensor:
    """Label maps, uint8 N×height×width, of `frames` with the common features of `keys` (uint8 N×3×H×W both).

    displacement: along which these features move first, see `losses.aligned`, or None.
    """
    independent = model.encode_independent(normalise(frames, model.card))
    if keys is frames:
        common = model.encode_common(None, independent)
    else:
        common = model.encode_common(normalise(keys, model.card))
    if displacement is not None:
        common = aligned(common, displacement)
    logits = F.interpolate(model.logits(common, independent), size, mode="bilinear", align_corners=False)
    return logits.argmax(1).to(torch.uint8)


def _device(model: DCFM) -> torch.device:
    return next(model.parameters()).device
