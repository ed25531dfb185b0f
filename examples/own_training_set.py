"""Labels of one's own, from the files to a trained model: `python examples/own_training_set.py FOLDER [STEPS]`.

The recordings here are drawn (a ball rolls over a lawn). Yours lie in the same places: a video, a bag or a folder of
images, and beside it a folder with labels of a few of its frames.
"""

import sys
from pathlib import Path

import cv2
import numpy as np
import yaml

from dcfm_lab.learn.config import load_config
from dcfm_lab.learn.train import train
from dcfm_ros import StreamSegmenter

ROOT = Path(sys.argv[1])
STEPS = int(sys.argv[2]) if len(sys.argv) > 2 else 100
CLASSES = {"lawn": [60, 140, 60], "ball": [240, 120, 30]}  # name and colour, in the order of the class ids
SIZE = (128, 96)


def draw(index: int) -> tuple[np.ndarray, np.ndarray]:
    """Frame `index`: BGR picture, and label: class ids."""
    width, height = SIZE
    noise = np.random.default_rng(index).integers(-12, 12, (height, width, 3))
    image = (np.array([60, 140, 60]) + noise).astype(np.uint8)
    label = np.zeros((height, width), np.uint8)
    center = (16 + 4 * index, 48 + 8 * (index % 3))
    cv2.circle(image, center, 14, (30, 120, 240), -1)
    cv2.circle(label, center, 14, 1, -1)
    return image, label


# 1. The data: SPLIT/NAME is a recording, SPLIT/NAME.labels/NUMBER.png the label of its frame NUMBER (255: no class).
for split in ("train", "val"):
    images, labels = ROOT / "data" / split / "garden", ROOT / "data" / split / "garden.labels"
    images.mkdir(parents=True, exist_ok=True)
    labels.mkdir(exist_ok=True)
    for index in range(24):
        image, label = draw(index)
        cv2.imwrite(str(images / f"{index:04d}.png"), image)
        if index % 6 == 0:  # the others need no label: they are where common features come from
            cv2.imwrite(str(labels / f"{index:04d}.png"), label)
(ROOT / "data" / "classes.yaml").write_text(yaml.safe_dump(CLASSES, sort_keys=False))

# 2. The training. Whatever is not said here has its default; `dcfm train FILE` does the same with this file.
settings = {
    "name": "garden",
    "data_root": str(ROOT / "data"),
    "out": str(ROOT / "run"),
    "train": [{"dataset": "recordings", "reach": 6}],
    "val": [{"dataset": "recordings", "split": "val"}],
    "model": {"backbone": "mobilenetv2", "num_classes": len(CLASSES)},
    "input_size": list(SIZE),
    "augment": {"crop": [96, 96]},
    "optim": {"lr": 1e-3, "backbone_lr_ratio": 1.0, "warmup_steps": 10},
    "steps": STEPS,
    "batch": 4,
    "log_every": 20,
    "picture_every": 0,
    "tensorboard": False,
    "workers": 0,
}
(ROOT / "garden.yaml").write_text(yaml.safe_dump(settings, sort_keys=False))
weights = train(load_config(ROOT / "garden.yaml"))

# 3. The result, as the node takes it with `weights:=...`.
with StreamSegmenter(weights) as stream:
    image, label = draw(9)
    mask = stream.step(np.ascontiguousarray(image[..., ::-1]), 1).mask
print(f"{weights}: {(mask == label).mean():.0%} of the pixels of a frame without a label are right")
