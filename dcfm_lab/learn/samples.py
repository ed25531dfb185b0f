"""What the training looks at: pairs of a labelled frame and a neighbour, each a function of its number alone.

Sample n is the same in whatever process and after however many restarts it is made, so the only thing a resumed
training has to know is how many samples it has had.
"""

from __future__ import annotations

import signal
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from dcfm_lab.datasets import FrameDataset
from dcfm_lab.learn.augment import Pair, as_image, augment
from dcfm_lab.learn.camera_motion import measured_flow, simulate_neighbour
from dcfm_lab.learn.config import SourceConfig, TrainConfig
from dcfm_lab.learn.soft_labels import SoftLabels
from dcfm_ros.arrays import Floats, Image
from dcfm_ros.stream.alignment import FlowAligner


@dataclass(frozen=True)
class Source:
    """soft: the soft labels of the dataset's frames, where it has any and they are asked for."""

    dataset: FrameDataset
    config: SourceConfig
    soft: SoftLabels | None = None


class PairSamples(Dataset):
    """Sample number -> (frame, neighbour, label, soft labels, displacement), of the crop's height and width.

    Frame and neighbour are uint8 3×H×W, the label is uint8 H×W, soft labels are uint8 classes×H×W, all 0 for a source
    without them. Where no loss term looks at neighbours, none is read: the frame takes its place. Where nothing is
    distilled, there are 0 classes of soft labels. The displacement leads from the frame to its neighbour: float32 h×w×2, at
    a fourth of the resolution, x and y as shares of the crop's sides; 0×0×2 where features are not aligned.
    """

    def __init__(self, sources: Sequence[Source], config: TrainConfig) -> None:
        self.sources, self.config = sources, config
        self.paired = config.loss.reused > 0 or config.loss.consistency > 0
        self.aligned = self.paired and config.align == "flow"
        self.soft_classes = len(sources[0].dataset.classes.names) if config.distill.weight > 0 else 0
        shares = np.array([source.config.share for source in sources], float)
        self.upto = np.cumsum(shares / shares.sum())

    def __getitem__(self, number: int) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        rng = np.random.default_rng([self.config.seed, 1, number])
        chosen = min(int(np.searchsorted(self.upto, rng.random(), side="right")), len(self.sources) - 1)
        source = self.sources[chosen]
        index = dealt(self.config.seed, chosen, len(source.dataset), number)
        labelled = source.dataset[index]
        other, displacement = labelled.image, None
        if self.paired:
            other, displacement = self._neighbour(source, index, labelled.image, rng)
        soft = source.soft[index] if source.soft and self.soft_classes else None
        pair = Pair(labelled.image, other, labelled.label, soft, displacement)
        pair = augment(pair, rng, self.config.augment)
        taught = pair.soft
        if taught is None:
            taught = np.zeros((*pair.label.shape, self.soft_classes), np.uint8)
        moved = np.zeros((0, 0, 2), np.float32) if pair.displacement is None else pair.displacement
        images = _channels_first(pair.frame), _channels_first(pair.neighbour)
        return *images, torch.from_numpy(pair.label), _channels_first(taught), torch.from_numpy(moved)

    def _neighbour(
        self, source: Source, index: int, image: Image, rng: Generator
    ) -> tuple[Image, Floats | None]:
        """A neighbour and, where features are aligned, the displacement from the frame to it."""
        within = [offset for offset in source.dataset.offsets(index) if abs(offset) <= source.config.reach]
        if within and rng.random() >= source.config.simulate:
            offset = int(rng.choice(within))
            neighbour = source.dataset.neighbour(index, offset)
            if neighbour is not None:
                return neighbour, flow_along(source.dataset, index, offset, image) if self.aligned else None
        neighbour, motion = simulate_neighbour(image, rng, self.config.motion)
        return neighbour, measured_flow(motion, rng, self.config.motion.flow_noise) if self.aligned else None


def flow_along(dataset: FrameDataset, index: int, offset: int, image: Image) -> Floats:
    """The displacement from a frame to its neighbour, chained along the frames between them as in a stream.

    float32 h×w×2, as shares of the picture's sides; 0 where the flow is not to be trusted.
    """
    height, width = image.shape[:2]
    aligner = FlowAligner((width, height))
    between = [other for other in dataset.offsets(index) if 0 < other * np.sign(offset) <= abs(offset)]
    for other in sorted(between, key=abs, reverse=True):
        seen = dataset.neighbour(index, other)
        if seen is not None:
            aligner.see(as_image(cv2.resize(seen, (width, height), interpolation=cv2.INTER_AREA)))
            if other == offset:
                aligner.begin(0, None)
    aligner.see(image)
    field = aligner.displacement(0)
    return np.zeros((2, 2, 2), np.float32) if field is None else field


def dealt(seed: int, source: int, length: int, number: int) -> int:
    """Which frame of a source sample `number` shows: every `length` samples it deals its frames in a new order."""
    epoch, place = divmod(number, length)
    return int(_order(seed, source, length, epoch)[place])


@lru_cache(maxsize=8)
def _order(seed: int, source: int, length: int, epoch: int) -> NDArray[np.int64]:
    return np.random.default_rng([seed, 2, source, epoch]).permutation(length)


def batches(samples: PairSamples, config: TrainConfig, step: int, rank: int, processes: int) -> DataLoader:
    """This process's part of every batch from `step` to the end of the training, in order."""
    numbers = range(step * config.batch, config.steps * config.batch)
    return DataLoader(
        samples,
        batch_size=config.batch // processes,
        sampler=numbers[rank::processes],
        num_workers=config.workers,
        worker_init_fn=_prepare_worker,
        persistent_workers=config.workers > 0,
        prefetch_factor=4 if config.workers else None,
    )


def _prepare_worker(_: int) -> None:
    # The cores belong to the network.
    cv2.setNumThreads(0)
    torch.set_num_threads(1)
    # Ctrl-C reaches the whole process group, but when to end is for the main process to say.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


def _channels_first(image: Image) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))
