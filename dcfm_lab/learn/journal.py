"""What a training tells while it runs: lines, a progress bar, TensorBoard curves and pictures."""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from tqdm import tqdm

from dcfm_lab.learn.config import TrainConfig
from dcfm_lab.learn.losses import Losses
from dcfm_ros.arrays import Image
from dcfm_ros.errors import say
from dcfm_ros.files import name_for_opencv

LOG = "log.jsonl"


class Journal:
    """Appends to `out`/log.jsonl, prints, and feeds TensorBoard where it is installed and wanted."""

    def __init__(self, config: TrainConfig, out: Path, start: int) -> None:
        self.config, self.out = config, out
        self.losses: list[dict[str, float]] = []
        self.began = time.monotonic()
        self.board = _tensorboard(out) if config.tensorboard else None
        self.bar = _progress_bar(config.steps, start)

    def losses_of(self, losses: Losses) -> None:
        """Remembers one step's losses until the next `report`."""
        terms = {name: getattr(losses, name) for name in ("total", "own", "reused", "consistency")}
        self.losses.append({name: float(term.detach()) for name, term in terms.items() if term is not None})
        if self.bar is not None:
            self.bar.update()

    def report(self, step: int, rate: float) -> None:
        """The mean losses and the speed since the last report; `rate`: the head's learning rate."""
        means = {name: float(np.mean([losses[name] for losses in self.losses])) for name in self.losses[0]}
        speed = len(self.losses) * self.config.batch / max(time.monotonic() - self.began, 1e-9)
        self._write("train", step, {**means, "lr": rate, "pairs_per_second": speed})
        left = (self.config.steps - step) * self.config.batch / speed
        words = "  ".join(f"{name} {value:.4g}" for name, value in means.items())
        self._say(
            f"step {step}/{self.config.steps}  {words}  lr {rate:.2e}  {speed:.2f} pairs/s  {_duration(left)} left"
        )
        self.losses.clear()
        self.began = time.monotonic()

    def measured(self, step: int, where: str, values: Mapping[str, float]) -> None:
        """Results on a validation set, 0-1."""
        known = {name: value for name, value in values.items() if not math.isnan(value)}
        self._write(where, step, known)
        self._say(
            f"step {step}  {where}  "
            + "  ".join(f"{name} {100 * value:.2f}" for name, value in known.items())
        )
        # Measuring is no training: it must not make the next report look slow.
        self.began = time.monotonic()

    def highest(self, where: str, name: str) -> float:
        """The highest value of that name so far, also before the training was resumed; -inf where there is none."""
        path = self.out / LOG
        lines = [_entry(line) for line in path.read_text().splitlines()] if path.exists() else []
        return max((e[name] for e in lines if e.get("kind") == where and name in e), default=-math.inf)

    def picture(self, step: int, rgb: Image) -> None:
        """Keeps a picture, uint8 H×W×3, as `out`/pictures/STEP.png."""
        folder = self.out / "pictures"
        folder.mkdir(exist_ok=True)
        cv2.imwrite(name_for_opencv(folder / f"{step:07d}.png"), np.ascontiguousarray(rgb[..., ::-1]))
        if self.board is not None:
            self.board.add_image("predictions", rgb, step, dataformats="HWC")

    def close(self) -> None:
        if self.board is not None:
            self.board.close()
        if self.bar is not None:
            self.bar.close()

    def _write(self, kind: str, step: int, values: Mapping[str, float]) -> None:
        path = self.out / LOG
        try:
            with path.open("a") as file:
                file.write(json.dumps({"kind": kind, "step": step, **values}) + "\n")
        except OSError as error:  # which names no file where the disk is full
            raise OSError(error.errno, error.strerror, str(path)) from error
        if self.board is not None:
            for name, value in values.items():
                self.board.add_scalar(f"{kind}/{name}", value, step)

    def _say(self, words: str) -> None:
        line = f"{time.strftime('%H:%M:%S')} {words}"
        if self.bar is not None:
            self.bar.write(line)
        else:
            say(line)


def _entry(line: str) -> dict[str, Any]:
    """What a line of the log says; nothing where a training was killed while it wrote it."""
    try:
        entry = json.loads(line)
    except ValueError:
        return {}
    return entry if isinstance(entry, dict) else {}


def _tensorboard(out: Path) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(out / "tensorboard"))


def _progress_bar(steps: int, start: int) -> Any:
    if not sys.stderr.isatty():
        return None
    return tqdm(total=steps, initial=start, unit="step", dynamic_ncols=True)


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    return f"{minutes // 60}:{minutes % 60:02d} h" if minutes >= 60 else f"{minutes} min"
