"""Where the things of a frame were in its key frame: optical flow from frame to frame, chained back.

A common feature belongs to the pixels of its key frame. Before another frame uses it, it is moved along a cheap flow to
where its things are now; the independent feature corrects what the flow gets wrong. The flow is never measured between
distant frames, where motions are large, and the feature is sampled only once however old it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np

from dcfm_ros.arrays import Floats, Image
from dcfm_ros.config import Size
from dcfm_ros.model.config import ModelCard
from dcfm_ros.stream.config import StreamConfig
from dcfm_ros.stream.motion import SIZE as THUMBNAIL
from dcfm_ros.stream.motion import change, local_contrast, structure
from dcfm_ros.stream.segmentation import NAN

FLOW_SHRINK = 2
"""The flow is measured on grey images this much smaller than the network's input."""
FLOW_PRESET = cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST
GRID_STRIDE = 4
"""Spacing of the chains in pixels of the network's input: that of the finest common features."""
FINE_SIGMA = 2.0
"""Thumbnail pixels: what alignment leaves are small misplacements, which coarse structure does not show. At the same
threshold as without alignment, a key frame is asked for about when reuse costs as much."""
MAX_CHANGE = 0.6
"""A step whose picture differs by more (0-1) from the one before after it was moved along the flow is not trusted."""
PATIENCE = 3
"""So many untrusted frames in a row and the picture is another one: what was chained before them is lost."""
MAX_CHAINS = 4
"""Beside the one in use: what is computed, what waits, and what has failed."""
MAX_ASPECT = 12
"""Width over height of the pictures that DIS takes."""
MIN_SIDE = 16
"""The smallest side of the pictures that DIS takes: it looks at patches of 8 pixels on several scales."""


class Aligner:
    """Follows the things of a stream. `see` is called once for every frame, in order; `begin` after it, at key frames, and
    `mark` at frames whose logits later ones may move.

    This one is `align: none`, the published method: features are used where they were. Motion is measured if `measures`.

    motion: what alignment cannot answer: change of the picture since the key frame that was asked for last, after it was
    moved along: 0 (none) to 1 (nothing in common); NaN before there is one.
    """

    def __init__(self, *, measures: bool) -> None:
        self.motion = NAN
        self._measures = measures
        self._structure: Floats | None = None
        self._key: Floats | None = None

    def see(self, small: Image) -> None:
        """The next frame, uint8 H×W×3 at the network's input size."""
        if self._measures:
            self._structure = structure(small)
            self.motion = NAN if self._key is None else change(self._key, self._structure)

    def begin(self, key: int, replaced: int | None) -> None:
        """The common feature of the frame that was seen last was asked for: of frame `key`, instead of `replaced`."""
        self._key = self._structure

    def displacement(self, key: int) -> Floats | None:
        """From the pixels of the last frame to where they were in frame `key`, whose common feature is in use.

        float32 h×w×2, x and y as shares of the picture's sides. None where the feature is best used where it was: in the
        key frame itself, and where no chain of trusted flow leads back. Older key frames than `key` are forgotten.
        """
        return None

    def mark(self) -> None:
        """The frame that was seen last is the one that `since_mark` leads to."""

    def since_mark(self) -> Floats | None:
        """The same from the last frame to the marked one; None where no chain of trusted flow leads there."""
        return None


@dataclass
class _Chain:
    """key: index of the frame it leads to. picture: its local contrast. field: displacement in grid pixels; None there."""

    key: int
    picture: Floats
    field: Floats | None = None
    lost: bool = False


class FlowAligner(Aligner):
    """`align: flow`: chains optical flow (DIS) back to the key frame in use, and to those that are asked for.

    A step of flow after which the pictures do not match (noise, a black frame, a blow) is left out: what was chained
    stays, and the next frame is compared with the last one that matched. After `PATIENCE` of them the picture is another
    one, and features are used where they were until the next key frame.

    size: (width, height) of the network's input.
    """

    def __init__(self, size: Size) -> None:
        super().__init__(measures=True)
        self._flow_size = flow_size(size)
        self._grid = _shrunk(size, GRID_STRIDE)
        self._places, self._thumb_places = _places(self._grid), _places(THUMBNAIL)
        self._flow = cv2.DISOpticalFlow.create(FLOW_PRESET)
        self._chains: list[_Chain] = []
        self._mark: _Chain | None = None
        self._now: _View | None = None
        self._trusted: _View | None = None
        self._untrusted = 0

    def see(self, small: Image) -> None:
        shrunk = cv2.resize(small, self._flow_size, interpolation=cv2.INTER_AREA)
        grey = np.asarray(cv2.cvtColor(shrunk, cv2.COLOR_RGB2GRAY), np.uint8)
        thumbnail = np.asarray(cv2.resize(grey, THUMBNAIL, interpolation=cv2.INTER_AREA), np.uint8)
        self._now = _View(grey, local_contrast(thumbnail, FINE_SIGMA))
        if self._trusted is None or not self._chains:
            self._trusted = self._now
        else:
            self._follow(self._now, self._trusted)
        if self._chains:
            newest = self._chains[-1]
            self.motion = change(self._moved(newest.picture, newest.field), self._now.picture)

    def begin(self, key: int, replaced: int | None) -> None:
        assert self._now is not None
        if self._untrusted:  # the chains lead to another frame than the one that the next step will lead to
            self._lose()
        self._trusted, self._untrusted = self._now, 0
        kept = [chain for chain in self._chains if chain.key != replaced]
        # More are only there where computing their common features fails.
        self._chains = [*kept[:1], *kept[1:][-MAX_CHAINS:], _Chain(key, self._now.picture)]

    def displacement(self, key: int) -> Floats | None:
        self._chains = [chain for chain in self._chains if chain.key >= key]
        first = self._chains[0] if self._chains else None
        return self._shares(first) if first and first.key == key else None

    def mark(self) -> None:
        assert self._now is not None
        # After untrusted frames the next step will lead to another one than this.
        self._mark = None if self._untrusted else _Chain(-1, self._now.picture)

    def since_mark(self) -> Floats | None:
        return None if self._untrusted or self._mark is None else self._shares(self._mark)

    def _shares(self, chain: _Chain) -> Floats | None:
        if chain.field is None:
            return None
        return np.asarray(chain.field / np.array(self._grid, np.float32), np.float32)

    def _follow(self, now: _View, before: _View) -> None:
        flow = self._flow.calc(now.grey, before.grey, None)  # type: ignore[call-overload]
        step = np.nan_to_num(_on_grid(np.asarray(flow, np.float32), self._grid))
        if change(self._moved(before.picture, step), now.picture) <= MAX_CHANGE:
            for chain in self._followed():
                if not chain.lost:
                    chain.field = step if chain.field is None else step + self._sampled(chain.field, step)
        else:
            self._untrusted += 1
            if self._untrusted < PATIENCE:
                return
            self._lose()
        self._trusted, self._untrusted = now, 0

    def _lose(self) -> None:
        for chain in self._followed():
            chain.field, chain.lost = None, True

    def _followed(self) -> list[_Chain]:
        return [*self._chains, self._mark] if self._mark else self._chains

    def _sampled(self, field: Floats, step: Floats) -> Floats:
        """A field at the places that a step leads to, the border repeated."""
        return _remap(field, self._places + step)

    def _moved(self, picture: Floats, field: Floats | None) -> Floats:
        """A thumbnail's structure, moved along a displacement in grid pixels."""
        if field is None:
            return picture
        return _remap(picture, self._thumb_places + _on_grid(field, THUMBNAIL))


class _View(NamedTuple):
    """What is kept of a frame. grey: uint8, for the flow. picture: a thumbnail's local contrast."""

    grey: Image
    picture: Floats


def flow_size(size: Size) -> Size:
    """(width, height) at which flow is measured, for the network's input `size`.

    DIS halves a picture by its width, and fails where nothing of the height is left: a very wide picture is stretched.
    """
    width, height = _shrunk(size, FLOW_SHRINK)
    return width, max(height, width // MAX_ASPECT)


def _shrunk(size: Size, factor: int) -> Size:
    return max(MIN_SIDE, -(-size[0] // factor)), max(MIN_SIDE, -(-size[1] // factor))


def _places(size: Size) -> Floats:
    """The place of every pixel: float32 h×w×2, x and y."""
    return np.stack(np.meshgrid(np.arange(size[0]), np.arange(size[1])), -1).astype(np.float32)


def _on_grid(flow: Floats, size: Size) -> Floats:
    """A displacement in its own pixels, on a grid of `size` = (width, height) and in that grid's pixels."""
    height, width = flow.shape[:2]
    scale = np.array([size[0] / width, size[1] / height], np.float32)
    return np.asarray(cv2.resize(flow, size, interpolation=cv2.INTER_AREA)) * scale


def _remap(values: Floats, places: Floats) -> Floats:
    x, y = places[..., 0], places[..., 1]
    return np.asarray(cv2.remap(values, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE))


def create_aligner(config: StreamConfig, card: ModelCard, size: Size) -> Aligner:
    """What `config.align` asks for. size: (width, height) of the network's input."""
    return (
        FlowAligner(size)
        if config.alignment(card) == "flow"
        else Aligner(measures=config.motion_threshold > 0)
    )
