"""What a training is: every setting with its default, read strictly from `config/train/NAME.yaml`."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from dcfm_ros.config import Size, check, from_mapping, plain_value, read_yaml, setting
from dcfm_ros.errors import DcfmError
from dcfm_ros.model.config import ModelConfig


@dataclass(frozen=True)
class SourceConfig:
    """One dataset and how its frames become training samples.

    dataset   which layout, see `learn.datasets.DATASETS`
    root      its folder; relative to `data_root` unless it begins with / or ~
    split     train | val | test, where the layout has splits
    soft      folder of soft labels of its frames (relative to `data_root`, see `learn.soft_labels`); "" = none
    options   further arguments of the dataset
    """

    dataset: str
    root: str = ""
    split: str = "train"
    share: float = setting(1.0, "weight of this source in the mix, relative to the others'", 0.0)
    reach: int = setting(10, "a neighbour is at most this many frames away (paper 3.3, R)", 0)
    simulate: float = setting(
        0.0, "probability of a simulated neighbour; certain where there is no real one within reach", 0.0, 1.0
    )
    soft: str = ""
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class AugmentConfig:
    """Random changes, the same for a frame and its neighbour."""

    crop: Size = setting((384, 288), "width and height in pixels")
    scale: tuple[float, float] = setting((0.5, 2.0), "range of the random resize", 0.01)
    flip: float = setting(0.5, "probability of a mirror image", 0.0, 1.0)
    angle: float = setting(0.0, "degrees of rotation either way", 0.0, 180.0)
    brightness: float = setting(0.3, "relative range either way", 0.0, 1.0)
    contrast: float = setting(0.3, "relative range either way", 0.0, 1.0)
    saturation: float = setting(0.4, "relative range either way", 0.0, 1.0)
    hue: float = setting(10.0, "degrees either way", 0.0, 180.0)
    gamma: float = setting(0.0, "range of its log2 either way", 0.0)
    blur: float = setting(0.0, "probability of a slight blur", 0.0, 1.0)
    noise: float = setting(0.0, "probability of sensor noise", 0.0, 1.0)


@dataclass(frozen=True)
class MotionConfig:
    """Simulated neighbours: what a camera would have seen up to about ten frames away."""

    peak: float = setting(0.10, "typical displacement of the fastest part of the image, in frame widths", 0.0)
    steer: float = setting(0.04, "sideways rotation, in frame widths", 0.0)
    patches: int = setting(3, "the most patches that move on their own", 0)
    exposure: float = setting(0.1, "relative range either way", 0.0, 1.0)
    blur: float = setting(0.3, "probability of motion blur", 0.0, 1.0)
    flow_noise: float = setting(
        0.004, "deviation, in frame widths, of the flow to them that an aligned training is shown", 0.0
    )


@dataclass(frozen=True)
class LossConfig:
    """Weights of the loss terms (paper 3.3); a term of weight 0 is not computed. See `learn.losses`.

    class_weight_power p weighs a class with (median frequency / its frequency)^p.
    """

    own: float = setting(1.0, "cross entropy with the frame's own common feature", 0.0)
    reused: float = setting(0.4, "cross entropy with the neighbour's common feature", 0.0)
    consistency: float = setting(10.0, "difference of the two fused features", 0.0)
    through_neighbour: bool = setting(
        True, "whether the neighbour's features learn, too; if not, a step takes seven tenths of the time"
    )
    lovasz: float = setting(
        0.0, "Lovász-softmax loss, which stands for mIoU, added to both cross entropies", 0.0
    )
    class_weight_power: float = setting(0.0, "how much rare classes count; 0: all count alike", 0.0)
    class_weight_limit: float = setting(10.0, "the most that a class counts", 0.0)


@dataclass(frozen=True)
class DistillConfig:
    """What is learnt from other networks beside the labels, see `learn.distill`.

    Where a frame has soft labels (`train.N.soft`) and there is a teacher, the geometric mean of both is taught.
    """

    weight: float = setting(
        0.0, "of the divergence from what they say, added to the cross entropy of `own` and of `reused`", 0.0
    )
    temperature: float = setting(1.0, "softens both sides (Hinton et al. 2015, arXiv 1503.02531)", 0.01)
    teacher: str = setting(
        "", "model by name or weights file that says what each augmented frame shows; '': none"
    )

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True)
class OptimConfig:
    """The optimiser and its learning rate over the steps, see `learn.optimiser.Schedule`."""

    name: Literal["adamw", "sgd"] = "adamw"
    lr: float = setting(6e-4, "learning rate of the head", 0.0)
    backbone_lr_ratio: float = setting(0.1, "the backbone's learning rate over the head's", 0.0)
    weight_decay: float = setting(0.01, "of the optimiser", 0.0)
    momentum: float = setting(0.9, "of SGD", 0.0, 1.0)
    warmup_steps: int = setting(1500, "steps until the full learning rate", 0)
    warmup_ratio: float = setting(1e-6, "share of it to begin with", 0.0, 1.0)
    poly_power: float = setting(1.0, "how it falls to min_lr: (1 - share of the steps)^power", 0.0)
    min_lr: float = setting(0.0, "learning rate at the end", 0.0)
    clip_norm: float = setting(0.0, "the gradient's norm is cut to it; 0: it is not", 0.0)


@dataclass(frozen=True)
class TrainConfig:
    """A whole training.

    Environment variables and ~ are filled in in `data_root`, `root`, `soft`, `pretrained`, `init`, `teacher` and `out`.

    train, val     datasets to learn from and to measure on while learning
    name, licence, notes   for the model card; input_size (width, height) too: what the model is meant to be fed with
    model          None: that of `init`, with the classes of the data; without `init` the default one
    pretrained     ImageNet weights of the backbone; "" = random
    init           a model by name (`dcfm models`) or a `.safetensors` to start from instead, see `learn.transfer`
    freeze_norm    keep the batch norms' statistics as they are
    amp            mixed precision, where the device computes in bfloat16 (or is a GPU)
    out            folder for the state, weights, logs and pictures
    """

    train: tuple[SourceConfig, ...]
    val: tuple[SourceConfig, ...] = ()
    data_root: str = "."
    name: str = "dcfm"
    licence: str = "not stated"
    notes: str = ""
    input_size: Size = (480, 360)
    model: ModelConfig | None = None
    pretrained: str = ""
    init: str = ""
    steps: int = setting(160_000, "steps of the optimiser; all intervals count them, too", 1)
    batch: int = setting(8, "pairs in a step, over all processes", 1)
    seed: int = 0
    augment: AugmentConfig = AugmentConfig()
    motion: MotionConfig = MotionConfig()
    loss: LossConfig = LossConfig()
    align: str = setting(
        "none",
        "flow: a neighbour's common feature moves along the flow before it is reused",
        choices=("flow", "none"),
    )
    align_in_use: str = setting(
        "",
        "what the card says of the streams that the model is for; '': what `align` says",
        choices=("", "flow", "none"),
    )
    distill: DistillConfig = DistillConfig()
    optim: OptimConfig = OptimConfig()
    ema_decay: float = setting(
        0.0,
        "of the weights' running average, which is measured and saved; 0: the weights themselves",
        0.0,
        0.999999,
    )
    freeze_norm: bool = False
    device: Literal["auto", "cpu", "cuda"] = "auto"
    amp: bool = True
    channels_last: bool = True
    threads: int = setting(0, "CPU threads of the network; 0: PyTorch's choice", 0)
    workers: int = setting(2, "processes that prepare samples", 0)
    out: str = "runs/dcfm"
    log_every: int = setting(50, "steps from one line of the log to the next", 1)
    save_every: int = setting(500, "steps from one saved state to the next", 1)
    eval_every: int = setting(4000, "steps from one measurement to the next; 0: only at the end", 0)
    eval_frames: int = setting(0, "frames of each dataset to measure on, evenly spread; 0: all", 0)
    picture_every: int = setting(1000, "steps from one picture to the next; 0: none", 0)
    tensorboard: bool = True

    def __post_init__(self) -> None:
        check(self)
        if not self.train:
            raise DcfmError("'train' lists no dataset; a training needs at least one")
        if self.distill.weight and not self.distill.teacher and not any(s.soft for s in self.train):
            raise DcfmError(
                f"'distill.weight' is {self.distill.weight}, but there is nothing to learn from; set distill.teacher= or train.N.soft="
            )


def load_config(path: str | Path, overrides: Sequence[str] = ()) -> TrainConfig:
    """The configuration in a YAML file, with `key=value` overrides (`optim.lr=1e-4`, `train.0.root=...`).

    Raises DcfmError for a missing or damaged file and for an unknown or ill-typed key.
    """
    path = Path(path)
    if not path.is_file():
        raise DcfmError(
            f"configuration '{path}' does not exist; give the path of a YAML file like config/train/NAME.yaml"
        )
    values = read_yaml(path, "configuration")
    for override in overrides:
        _set_key(values, *read_pair(override))
    try:
        return from_mapping(TrainConfig, values)
    except DcfmError as error:
        raise DcfmError(f"configuration '{path}': {error}") from error


def read_pair(text: str, where: str = "") -> tuple[str, Any]:
    """KEY=VALUE, the value as in a YAML file. Raises DcfmError that begins with `where`."""
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise DcfmError(f"{where}'{text}' is not of the form KEY=VALUE")
    return key, plain_value(value, key)


def _set_key(values: dict[str, Any], dotted: str, value: Any) -> None:
    """Sets `a.b.0.c` in nested mappings and lists, as `key=value` on the command line asks; DcfmError if it cannot be."""
    *parents, last = dotted.split(".")
    node: Any = values
    for i, part in enumerate(parents):
        if isinstance(node, dict) and node.get(part) is None:
            node[part] = {}
        node = node[_place(node, part, ".".join(parents[: i + 1]))]
    node[_place(node, last, dotted)] = value


def _place(node: Any, part: str, where: str) -> str | int:
    if isinstance(node, dict):
        return part
    if not isinstance(node, list):
        raise DcfmError(
            f"cannot set '{where}': the value that should hold '{part}' is {node!r}, not a mapping"
        )
    if not re.fullmatch(r"\d{1,9}", part) or int(part) >= len(node):
        raise DcfmError(f"'{where}': '{part}' is not an index of a list of {len(node)}")
    return int(part)


def expanded(path: str, key: str) -> Path:
    """`path` with environment variables and ~ filled in; DcfmError, naming `key`, where one is not set."""
    filled = os.path.expandvars(path)
    missing = re.search(r"\$\{?(\w+)", filled)
    if missing:
        raise DcfmError(
            f"'{key}' is '{path}', but the environment variable {missing[1]} is not set; set it, or set {key}="
        )
    return Path(filled).expanduser()
