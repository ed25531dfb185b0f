"""Training, from top to bottom: the symmetric strategy for sparsely labelled video (arXiv 2403.02689, section 3.3)."""

from __future__ import annotations

import os
from pathlib import Path

import torch

from dcfm_lab.datasets import FrameDataset
from dcfm_lab.learn.checkpoint import load_state, save_state, steps_done
from dcfm_lab.learn.config import SourceConfig, TrainConfig
from dcfm_lab.learn.journal import Journal
from dcfm_lab.learn.learner import Learner
from dcfm_lab.learn.processes import join_processes
from dcfm_lab.learn.samples import PairSamples, batches
from dcfm_lab.learn.start import class_weight, open_source, open_sources, prepare_folder, starting_model
from dcfm_lab.learn.validation import MEAN_IOU, picture, validate
from dcfm_ros.errors import DcfmError, Interrupted
from dcfm_ros.interrupts import Stop, interruptible
from dcfm_ros.model.checkpoint import save_model
from dcfm_ros.model.dcfm import DCFM

WEIGHTS, BEST = "last.safetensors", "best.safetensors"


def train(config: TrainConfig, *, resume: bool = False) -> Path:
    """Runs a training to its end and returns the path of the weights (the running average's).

    Beside them lie those that were best on the first of `val`, where there is one.

    Started by `torchrun`, every process takes its part of each batch. Ctrl-C and SIGTERM end it after the step, with the
    state saved, and raise Interrupted; a kill, or a loss that is not finite, costs the steps since the last `save_every`.
    Raises DcfmError.
    """
    # Of several processes each would end after another step.
    with interruptible(listen=int(os.environ.get("WORLD_SIZE", 1)) == 1) as stop:
        return _train(config, resume, stop)


def _train(config: TrainConfig, resume: bool, stop: Stop) -> Path:
    processes = join_processes(config)
    torch.manual_seed(config.seed)
    if config.threads:
        torch.set_num_threads(config.threads)
    out = prepare_folder(config, resume)

    sources = open_sources(config)
    validation = [(s, open_source(config, s)) for s in config.val] if processes.first else []
    samples = PairSamples(sources, config)

    model = starting_model(config, sources[0].dataset)
    learner = Learner(model, config, class_weight(sources[0].dataset, config.loss), processes)
    start = load_state(out, learner.state) if resume else 0
    journal = Journal(config, out, start) if processes.first else None

    done = start
    for done, batch in enumerate(batches(samples, config, start, processes.rank, processes.count), start + 1):
        try:
            losses = learner.step(done, batch)
        except FloatingPointError as error:
            raise DcfmError(f"{error}; {_way_on(out)}") from error
        if journal is not None:
            average = learner.average.model
            at_end = done == config.steps or stop()
            journal.losses_of(losses)
            if done % config.log_every == 0 or at_end:
                journal.report(done, learner.rate)
            if config.picture_every and done % config.picture_every == 0:
                journal.picture(done, picture(average, batch, learner.taught))
            if done % config.save_every == 0 or at_end:
                save_state(out, done, config, learner.state)
            if (config.eval_every and done % config.eval_every == 0) or done == config.steps:
                save_model(average, out / WEIGHTS)
                _measure(average, validation, config, journal, done)
        if stop():
            break

    if journal is not None:
        save_model(learner.average.model, out / WEIGHTS)
        journal.close()
    processes.leave()
    if done < config.steps:
        raise Interrupted(f"stopped after step {done} of {config.steps}; go on with --resume")
    return out / WEIGHTS


def _measure(
    model: DCFM,
    validation: list[tuple[SourceConfig, FrameDataset]],
    config: TrainConfig,
    journal: Journal,
    done: int,
) -> None:
    """On every validation set; the weights with the highest mIoU so far on the first one are kept."""
    for number, (source, dataset) in enumerate(validation):
        name = f"{source.dataset}_{source.split}"
        highest = journal.highest(name, MEAN_IOU)
        values = validate(model, dataset, config.eval_frames)
        if number == 0 and values[MEAN_IOU] > highest:
            save_model(model, journal.out / BEST)
        journal.measured(done, name, values)


def _way_on(out: Path) -> str:
    """What can be done after a step that went wrong."""
    kept = steps_done(out)
    remedy = "with a lower optim.lr, with optim.clip_norm or with amp=false"
    return f"begin again {remedy}" if kept is None else f"go on from step {kept} with --resume, {remedy}"
