"""Chooses what runs the common branch."""

from __future__ import annotations

import logging
import math
import threading
import weakref

from dcfm_ros.config import usable_cores
from dcfm_ros.engines.base import Engine
from dcfm_ros.stream.background import BackgroundWorker
from dcfm_ros.stream.common_feature import CommonBranch
from dcfm_ros.stream.config import StreamConfig
from dcfm_ros.stream.slice_plan import SlicePlan
from dcfm_ros.stream.slices import SlicedWorker, Turns
from dcfm_ros.stream.worker import OnError, Worker

logger = logging.getLogger(__name__)

_turns: weakref.WeakKeyDictionary[Engine, Turns] = weakref.WeakKeyDictionary()
_lock = threading.Lock()


def create_worker(engine: Engine, config: StreamConfig, on_error: OnError | None) -> Worker:
    """The worker that `config` asks for.

    A thread on a CPU has idle priority, and half of the cores; what is older than `max_age_ms` by then is computed at
    the priority of the frames.
    Raises DcfmError for an engine that cannot run that way.
    """
    whole = CommonBranch(engine, config)
    way = way_of(engine, config)
    if way == "inline":
        return Worker(whole, on_error)
    logger.info("key frames are computed in the background: %s (asked for: %s)", way, config.background)
    if way == "slices":
        engine.prepare(config.network_size(engine.card.input_size), pieces=True)
        return SlicedWorker(whole, on_error, SlicePlan(config.slices, config.max_age_ms), turns_of(engine))
    handle, idle = engine.background(threads_of(config)), engine.device == "cpu"
    # Now: others, who wait while an engine loads, would wait for a thread that hardly runs.
    handle.prepare(config.network_size(engine.card.input_size))
    overdue_ms = config.max_age_ms if idle else math.inf
    return BackgroundWorker(whole, on_error, CommonBranch(handle, config), idle=idle, overdue_ms=overdue_ms)


def turns_of(engine: Engine) -> Turns:
    """What all streams on this engine share."""
    with _lock:
        return _turns.setdefault(engine, Turns())


def way_of(engine: Engine, config: StreamConfig) -> str:
    """What runs the common branch: "inline", "thread" or "slices"."""
    if config.mode == "inline":
        return "inline"
    return default_way(engine) if config.background == "auto" else config.background


def threads_of(config: StreamConfig) -> int:
    """On how many threads a common branch computes that runs beside the frames."""
    return config.background_threads or max(1, usable_cores() // 2)


def default_way(engine: Engine) -> str:
    """What `background: auto` means: slices on a CPU, else a thread.

    Measured by `bench/steady.py`: of all ways, slices hold the frames up the least and leave the common feature the
    youngest, and they need no core that is free (docs/latency.md).
    """
    return "slices" if engine.device == "cpu" else "thread"
