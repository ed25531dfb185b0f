"""Training, from top to bottom: the symmetric strategy for sparsely labelled video (arXiv 2403.02689, section 3.3)."""

from __future__ import annotations

import os
import signal
import threading
from dataclasses import asdict, replace
from datetime import timedelta
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
import yaml
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from dcfm_ros.errors import DcfmError
from dcfm_ros.learn.checkpoint import load_state, save_state, steps_done
from dcfm_ros.learn.config import LossConfig, SourceConfig, TrainConfig, expanded
from dcfm_ros.learn.datasets import FrameDataset, open_dataset
from dcfm_ros.learn.journal import Journal
from dcfm_ros.learn.losses import Losses, symmetric_losses
from dcfm_ros.learn.optimiser import Average, Schedule, build_optimiser
from dcfm_ros.learn.samples import PairSamples, Source, batches
from dcfm_ros.learn.sync_norm import synchronise_norms
from dcfm_ros.learn.validation import normalise, picture, validate
from dcfm_ros.model.checkpoint import load_model, save_model
from dcfm_ros.model.config import ModelCard
from dcfm_ros.model.dcfm import DCFM, build_model
from dcfm_ros.model.imagenet import load_imagenet

WEIGHTS = "last.safetensors"


def train(config: TrainConfig, *, resume: bool = False) -> Path:
    """Runs a training to its end and returns the path of the weights (the running average's).

    Started by `torchrun`, every process takes its part of each batch. Ctrl-C and SIGTERM end it after the step, with the
    state saved; a kill costs the steps since the last `save_every`. Raises DcfmError.
    """
    with StopRequest() as stop:
        return _train(config, resume, stop)


def _train(config: TrainConfig, resume: bool, stop: StopRequest) -> Path:
    rank, processes, device = join_processes(config)
    first = rank == 0
    torch.manual_seed(config.seed)
    if config.threads:
        torch.set_num_threads(config.threads)
    out = prepare_folder(config, resume)

    # Data.
    sources = [Source(open_source(config, source), source) for source in config.train]
    validation = {f"{s.dataset}_{s.split}": open_source(config, s) for s in config.val} if first else {}
    samples = PairSamples(sources, config)

    # Model, its running average, optimiser.
    model = starting_model(config, sources[0].dataset).to(device)
    if config.channels_last:
        model = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    average = Average(model, config.ema_decay)
    optimiser = build_optimiser(model, config.optim)
    schedule = Schedule(optimiser, config.steps, config.optim)
    half = autocast_type(device)
    scaler = torch.amp.GradScaler(device.type, enabled=config.amp and half == torch.float16)
    pass_of: nn.Module = TrainingPass(model, config.loss, class_weight(sources[0].dataset, config.loss)).to(
        device
    )
    if processes > 1:
        if device.type == "cuda":
            pass_of = nn.SyncBatchNorm.convert_sync_batchnorm(pass_of)
        else:
            synchronise_norms(pass_of)
        pass_of = DistributedDataParallel(
            pass_of, device_ids=[device.index] if device.type == "cuda" else None
        )

    state = {"model": model, "average": average.model, "optimiser": optimiser, "scaler": scaler}
    start = load_state(out, state) if resume else 0
    journal = Journal(config, out, start) if first else None

    model.train()
    if config.freeze_norm:
        freeze_norm(model)
    done = start
    for done, batch in enumerate(batches(samples, config, start, rank, processes), start + 1):
        # Dropout, too, depends on the step and not on what happened before.
        torch.manual_seed((config.seed * 1_000_003 + done) * 4096 + rank)
        schedule.set(done - 1)
        frames, neighbours, target = (part.to(device, non_blocking=True) for part in batch)
        with torch.autocast(device.type, half, enabled=config.amp and half is not None):
            losses: Losses = pass_of(normalise(frames, model.card), normalise(neighbours, model.card), target)
        optimiser.zero_grad()
        scaler.scale(losses.total).backward()
        scaler.unscale_(optimiser)
        if config.optim.clip_norm:
            nn.utils.clip_grad_norm_(model.parameters(), config.optim.clip_norm)
        scaler.step(optimiser)
        scaler.update()
        average.update(model, done)

        if journal is not None:
            at_end = done == config.steps or stop.requested
            journal.losses_of(losses)
            if done % config.log_every == 0 or at_end:
                journal.report(done, optimiser.param_groups[-1]["lr"])
            if config.picture_every and done % config.picture_every == 0:
                journal.picture(done, picture(average.model, frames, neighbours, target))
            if done % config.save_every == 0 or at_end:
                save_state(out, done, config, state)
            if (config.eval_every and done % config.eval_every == 0) or done == config.steps:
                save_model(average.model, out / WEIGHTS)
                for name, dataset in validation.items():
                    journal.measured(done, name, validate(average.model, dataset, config.eval_frames))
        if stop.requested:
            break

    if journal is not None:
        save_model(average.model, out / WEIGHTS)
        journal.close()
    if processes > 1:
        dist.destroy_process_group()
    if done < config.steps:
        raise DcfmError(f"stopped after step {done} of {config.steps}; go on with --resume")
    return out / WEIGHTS


class TrainingPass(nn.Module):
    """The model and its losses as one module with a `forward`, which is what DDP wraps."""

    class_weight: Tensor | None

    def __init__(self, model: DCFM, config: LossConfig, weight: Tensor | None) -> None:
        super().__init__()
        self.model, self.config = model, config
        self.register_buffer("class_weight", weight)

    def forward(self, frames: Tensor, neighbours: Tensor, target: Tensor) -> Losses:
        return symmetric_losses(self.model, frames, neighbours, target, self.config, self.class_weight)


class StopRequest:
    """As a context: turns the first Ctrl-C or SIGTERM into a wish; the second one works as usual, as they do after it.

    Not where there are several processes, which would end after different steps, and not outside the main thread, where
    Python has no signals.
    """

    def __init__(self) -> None:
        self.requested = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> StopRequest:
        alone = int(os.environ.get("WORLD_SIZE", 1)) == 1
        if alone and threading.current_thread() is threading.main_thread():
            numbers = (signal.SIGINT, signal.SIGTERM)
            self._before = {number: signal.signal(number, self._wish) for number in numbers}
        return self

    def __exit__(self, *exception: object) -> None:
        while self._before:
            signal.signal(*self._before.popitem())

    def _wish(self, number: int, frame: FrameType | None) -> None:
        self.requested = True
        self.__exit__()


def join_processes(config: TrainConfig) -> tuple[int, int, torch.device]:
    """This process's rank, how many there are (as `torchrun` says), and its device."""
    rank, processes = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    if config.device == "cuda" and not torch.cuda.is_available():
        raise DcfmError(
            "device is 'cuda', but PyTorch sees no GPU; set device=cpu or install PyTorch with CUDA"
        )
    if config.batch % processes:
        raise DcfmError(
            f"a batch of {config.batch} cannot be split evenly over {processes} processes; change batch="
        )
    cuda = config.device == "cuda" or (config.device == "auto" and torch.cuda.is_available())
    device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0))) if cuda else torch.device("cpu")
    if cuda:
        torch.cuda.set_device(device)
    if processes > 1:
        # The others wait while the first one measures.
        dist.init_process_group("nccl" if cuda else "gloo", timeout=timedelta(hours=2))
    return rank, processes, device


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


def starting_model(config: TrainConfig, dataset: FrameDataset) -> DCFM:
    """The model at step 0, with a card of its own."""
    card = ModelCard(
        name=config.name,
        classes=dataset.classes.names,
        colors=dataset.classes.colors,
        input_size=config.input_size,
        licence=config.licence,
        notes=config.notes,
    )
    if config.init:
        model = load_model(expanded(config.init, "init"))
        if len(card.classes) != model.config.num_classes:
            raise DcfmError(
                f"'{config.init}' tells {model.config.num_classes} classes apart, the dataset has {len(card.classes)}"
            )
        model.card = replace(card, mean=model.card.mean, std=model.card.std)
        return model
    model = build_model(config.model, card)
    if config.pretrained:
        load_imagenet(model, expanded(config.pretrained, "pretrained"))
    return model


def class_weight(dataset: FrameDataset, config: LossConfig, frames: int = 400) -> Tensor | None:
    """float32 (classes,) as LossConfig says, from the labels of up to `frames` frames; None where all count alike."""
    if config.class_weight_power == 0:
        return None
    classes = len(dataset.classes.names)
    counts = np.zeros(classes)
    for index in np.unique(np.linspace(0, len(dataset) - 1, frames).round().astype(int)):
        counts += np.bincount(dataset[int(index)].label.ravel(), minlength=256)[:classes]
    # A class that was not met is as rare as one pixel, and no measure of what is usual.
    weight = (np.median(counts[counts > 0]) / np.maximum(counts, 1)) ** config.class_weight_power
    return torch.tensor(np.minimum(weight, config.class_weight_limit), dtype=torch.float32)


def freeze_norm(model: nn.Module) -> None:
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d | nn.SyncBatchNorm):
            module.eval()


def autocast_type(device: torch.device) -> torch.dtype | None:
    """bfloat16 where the device computes in it, else float16 on a GPU, else None."""
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
    return torch.bfloat16 if torch.ops.mkldnn._is_mkldnn_bf16_supported() else None


def to_plain(value: object) -> object:
    """Tuples as lists, so that plain YAML can hold them."""
    if isinstance(value, dict):
        return {key: to_plain(item) for key, item in value.items()}
    return [to_plain(item) for item in value] if isinstance(value, list | tuple) else value
