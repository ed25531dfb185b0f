"""Where replays run: in this process, in several of this machine, or on a Ray cluster.

Both pools have the same method.
"""

from __future__ import annotations

import concurrent.futures
import importlib
import logging
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

from dcfm_ros.errors import DcfmError
from dcfm_ros.interrupts import Stop, interruptible

J = TypeVar("J")
R = TypeVar("R")

_POLL_S = 0.2
_RAY_HINT = "Start one with `ray start --head`, give its address (--ray HOST:PORT), or `--ray local` for this machine."


class LocalPool:
    """`workers` processes on this machine, none of them forked."""

    def __init__(self, workers: int) -> None:
        self._workers = workers

    def map(self, work: Callable[[J, Stop], R], jobs: Sequence[J], stop: Stop) -> Iterator[tuple[int, R]]:
        """Call `work` with every job, several at a time: yield (index of the job, result) as they finish.

        Once `stop()` is true, running jobs are told to end.
        """
        context = multiprocessing.get_context("spawn")
        ended = context.Event()
        with concurrent.futures.ProcessPoolExecutor(
            min(self._workers, len(jobs)), context, _begin_worker, (ended,)
        ) as pool:
            waiting = {pool.submit(_work, work, job): index for index, job in enumerate(jobs)}
            while waiting:
                if stop() and not ended.is_set():
                    ended.set()
                    waiting = {future: index for future, index in waiting.items() if not future.cancel()}
                done, _ = concurrent.futures.wait(waiting, _POLL_S, concurrent.futures.FIRST_COMPLETED)
                for future in done:
                    index = waiting.pop(future)
                    try:
                        yield index, future.result()
                    except BrokenProcessPool as error:
                        if stop():  # whoever ends this process has ended its workers, too
                            return
                        raise DcfmError(
                            "A process that replays a recording ended unexpectedly; is there enough memory? Replay "
                            "fewer at a time with --jobs."
                        ) from error


_ended: Any = None  # in a worker process: the event that tells it to end


def _begin_worker(ended: Any) -> None:
    global _ended
    # Ctrl-C reaches every process of the terminal; the parent handles it, and tells its workers to end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _ended = ended
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A parent that is killed tells nobody."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _work(work: Callable[[J, Stop], R], job: J) -> R:
    return work(job, _ended.is_set)


class RayPool:
    """A Ray cluster; recordings and output must lie where all of its machines can reach them.

    address: of the cluster; "auto": the one of this machine; "local": one of its own, for this run.
    Raises DcfmError: Ray is not installed, or no such cluster.
    """

    def __init__(self, address: str) -> None:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # it would tell its makers of this run
        try:
            ray: Any = importlib.import_module("ray")
        except ImportError as error:
            raise DcfmError(
                "--ray needs the package `ray`, which is not installed: `pip install ray`, here and on every machine of "
                "the cluster. Without it, --jobs uses the cores of this machine."
            ) from error
        self._ray = ray
        try:
            local = {"include_dashboard": False} if address == "local" else {"address": address}
            ray.init(log_to_driver=False, logging_level=logging.WARNING, **local)
        except ConnectionError as error:
            raise DcfmError(f"There is no Ray cluster at {address!r}. {_RAY_HINT}") from error

    def map(self, work: Callable[[J, Stop], R], jobs: Sequence[J], stop: Stop) -> Iterator[tuple[int, R]]:
        """As of a `LocalPool`."""
        ray = self._ray
        remote = ray.remote(_ray_work)
        waiting = {remote.remote(work, job): index for index, job in enumerate(jobs)}
        cancelled = False
        while waiting:
            if stop() and not cancelled:
                cancelled = True
                # A running task gets a KeyboardInterrupt, a waiting one never starts.
                for task in waiting:
                    ray.cancel(task)
            done, _ = ray.wait(list(waiting), timeout=_POLL_S)
            for task in done:
                index = waiting.pop(task)
                try:
                    yield index, ray.get(task)
                except ray.exceptions.TaskCancelledError:
                    continue
                except ray.exceptions.RayError as error:
                    first = str(error).strip().splitlines()[-1]
                    raise DcfmError(f"A replay failed on the Ray cluster: {first}") from error
        ray.shutdown()


def _ray_work(work: Callable[[J, Stop], R], job: J) -> R:
    with interruptible() as stop:
        return work(job, stop)


Pool = LocalPool | RayPool
