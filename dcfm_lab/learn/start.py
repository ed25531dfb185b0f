"""What a training begins with: its folder, its data, the model at step 0 and the weights of the classes."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch
import yaml
from torch import Tensor

from dcfm_lab.datasets import FrameDataset, open_dataset
from dcfm_lab.datasets.base import evenly_spread
from dcfm_lab.learn.checkpoint import steps_done
from dcfm_lab.learn.config import LossConfig, SourceConfig, TrainConfig, expanded
from dcfm_lab.learn.imagenet import load_imagenet
from dcfm_lab.learn.samples import Source
from dcfm_lab.learn.soft_labels import SoftLabels
from dcfm_lab.learn.transfer import transferred
from dcfm_ros.errors import DcfmError, say
from dcfm_ros.model.backbones.registry import BACKBONES
from dcfm_ros.model.checkpoint import load_model
from dcfm_ros.model.config import ModelCard, ModelConfig
from dcfm_ros.model.dcfm import DCFM, build_model
from dcfm_ros.model.shipped import weights_path


def prepare_folder(config: TrainConfig, resume: bool) -> Path:
    """The output folder with the configuration in it; DcfmError rather than writing over another training."""
    out = expanded(config.out, "out")
    done = None if resume else steps_done(out)
    if done is not None:
        raise DcfmError(
            f"'{out}' holds a training of {done} steps; go on with --resume, or set out= to a new folder"
        )
    out.mkdir(parents=True, exist_ok=True)
    (out / "config.yaml").write_text(yaml.safe_dump(to_plain(asdict(config)), sort_keys=False))
    return out


def open_source(config: TrainConfig, source: SourceConfig) -> FrameDataset:
    root = expanded(config.data_root, "data_root") / expanded(source.root, "root")
    return open_dataset(source.dataset, root, source.split, **source.options)


def open_sources(config: TrainConfig) -> list[Source]:
    """What is trained on. Raises DcfmError where two of them do not have the same classes or soft labels are missing."""
    sources: list[Source] = []
    for number, source in enumerate(config.train):
        dataset = open_source(config, source)
        if sources and dataset.classes.names != sources[0].dataset.classes.names:
            raise DcfmError(
                f"train.{number} ('{source.dataset}') does not have the classes of train.0; all sources must have the same"
            )
        soft = None
        if source.soft and config.distill.weight > 0:
            folder = expanded(config.data_root, "data_root") / expanded(source.soft, f"train.{number}.soft")
            soft = SoftLabels(folder, dataset)
        sources.append(Source(dataset, source, soft))
    return sources


def starting_model(config: TrainConfig, dataset: FrameDataset) -> DCFM:
    """The model at step 0, with a card of its own. Tells what of it does not come from `init`."""
    source = load_model(weights_path(expanded(config.init, "init"))) if config.init else None
    architecture = config.model or (source.config if source else ModelConfig())
    mean, std = BACKBONES[architecture.backbone].normalisation
    card = ModelCard(
        name=config.name,
        classes=dataset.classes.names,
        colors=dataset.classes.colors,
        input_size=config.input_size,
        mean=mean,
        std=std,
        licence=config.licence,
        notes=config.notes,
        align=config.align_in_use or config.align,
    )
    if source is not None:
        if config.model is None:
            architecture = replace(architecture, num_classes=len(card.classes))
        card = replace(card, mean=source.card.mean, std=source.card.std)
        model, new = transferred(source, architecture, card)
        say(f"begins with '{config.init}'; {new or 'all of it is taken'}")
        return model
    model = build_model(architecture, card)
    if config.pretrained:
        load_imagenet(model, expanded(config.pretrained, "pretrained"))
    return model


def class_weight(dataset: FrameDataset, config: LossConfig, frames: int = 400) -> Tensor | None:
    """float32 (classes,) as LossConfig says, from the labels of up to `frames` frames; None where all count alike."""
    if config.class_weight_power == 0:
        return None
    classes = len(dataset.classes.names)
    counts = np.zeros(classes)
    for index in evenly_spread(len(dataset), frames):
        counts += np.bincount(dataset[index].label.ravel(), minlength=256)[:classes]
    # A class that was not met is as rare as one pixel, and no measure of what is usual.
    weight = (np.median(counts[counts > 0]) / np.maximum(counts, 1)) ** config.class_weight_power
    return torch.tensor(np.minimum(weight, config.class_weight_limit), dtype=torch.float32)


def to_plain(value: object) -> object:
    """Tuples as lists, so that plain YAML can hold them."""
    if isinstance(value, dict):
        return {key: to_plain(item) for key, item in value.items()}
    return [to_plain(item) for item in value] if isinstance(value, list | tuple) else value
