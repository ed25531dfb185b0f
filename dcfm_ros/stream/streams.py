"""The streams of one topic: one for each camera, which is a frame_id and an image size."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from dcfm_ros.arrays import Image
from dcfm_ros.config import Size
from dcfm_ros.stream.segmentation import Segmentation
from dcfm_ros.stream.segmenter import StreamSegmenter

MAX_STREAMS = 8  # of one topic; each holds a common feature, and one that names its frames at random must not fill memory


class Streams(AbstractContextManager["Streams"]):
    """Takes each frame to the stream of the camera that it is from.

    A stereo driver may publish both eyes on one topic, with equal stamps; a borrowed feature of the other eye is wrong.

    make: the stream of a camera that is new. `step` is for one thread; the other methods are for any.
    """

    def __init__(self, make: Callable[[], StreamSegmenter]) -> None:
        self._make = make
        self._streams: OrderedDict[tuple[str, Size], StreamSegmenter] = OrderedDict()
        self._first = make()  # parameters that cannot be used are refused now, not at the first frame
        self.engine, self.config = self._first.engine, self._first.config
        self.network_size = self._first.network_size

    def step(self, rgb: Image, stamp_ns: int | None, *, frame_id: str = "", **options: Any) -> Segmentation:
        """Segment the next frame of the camera `frame_id`, as `StreamSegmenter.step` does with these options."""
        return self._of(frame_id, (rgb.shape[1], rgb.shape[0])).step(rgb, stamp_ns, **options)

    def request_refresh(self, reason: str = "service") -> None:
        """Refresh every camera's common feature at its next frame."""
        for stream in list(self._streams.values()):
            stream.request_refresh(reason)

    def reset(self, reason: str = "") -> None:
        """Forget everything before the next frame of each camera."""
        for stream in list(self._streams.values()):
            stream.reset(reason)

    def close(self) -> None:
        """End all streams."""
        for stream in [self._first, *self._streams.values()]:
            stream.close()

    def __exit__(self, *_: object) -> None:
        self.close()

    def _of(self, frame_id: str, size: Size) -> StreamSegmenter:
        key = (frame_id, size)
        if key in self._streams:
            self._streams.move_to_end(key)
            return self._streams[key]
        full = len(self._streams) == MAX_STREAMS
        if full:
            self._streams.popitem(last=False)[1].close()
        stream = self._make() if self._streams else self._first
        if self._streams:
            width, height = size
            stream.reset(
                f"images of another camera arrived: frame_id {frame_id!r}, {width}×{height}", log=not full
            )
        self._streams[key] = stream
        return stream
