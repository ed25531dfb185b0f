"""The Python interface, cell by cell: `python examples/segment_video.py CLIP.mp4`, or open it as a notebook."""

# %% A video. Everything in dcfm_ros takes RGB, uint8 H×W×3, and stamps in nanoseconds.
import sys
from collections import Counter
from collections.abc import Iterator
from itertools import count

import cv2
import numpy as np
from numpy.typing import NDArray

from dcfm_ros import StreamConfig, StreamSegmenter, create_engine, default_weights, draw_overlay

CLIP = sys.argv[1]


def frames(path: str) -> Iterator[tuple[NDArray[np.uint8], int]]:
    """The frames of a video and their stamps."""
    video = cv2.VideoCapture(path)
    for index in count():
        grabbed, bgr = video.read()
        if not grabbed:
            return
        stamp_ns = 1 + round(index * 1e9 / video.get(cv2.CAP_PROP_FPS))  # 0 would mean that there is none
        yield np.ascontiguousarray(bgr[..., ::-1]).astype(np.uint8, copy=False), stamp_ns


# %% The model on the fastest engine that is installed. The engine knows what the weights file says of itself.
engine = create_engine(default_weights())
card = engine.card
print(f"{card.name}: {len(card.classes)} classes, runs on {engine.name}, {engine.precision}, {engine.device}")

# %% A stream is one camera. Inline, every result is repeatable; the default, `background`, never lets a frame wait.
config = StreamConfig(mode="inline", key_interval=5, key_period_ms=0, motion_threshold=0)
triggers: Counter[str] = Counter()
with StreamSegmenter(engine, config) as stream:
    for rgb, stamp_ns in frames(CLIP):
        result = stream.step(rgb, stamp_ns, confidence=True)
        triggers[result.trigger or "none: the common feature is reused"] += 1
print(f"why frames were key frames: {dict(triggers)}")

# %% What is in the last frame, and how sure the network is.
assert result.confidence is not None
for class_id, pixels in sorted(Counter(result.mask.ravel().tolist()).items(), key=lambda item: -item[1]):
    sure = result.confidence[result.mask == class_id].mean() / 255
    print(f"{card.classes[class_id]:>12} {pixels / result.mask.size:6.1%}, confidence {sure:.0%}")

# %% For people: the frame in class colours, with a legend.
cv2.imwrite("overlay.png", np.ascontiguousarray(draw_overlay(rgb, result.mask, card)[..., ::-1]))
print(f"wrote overlay.png; the last frame took {result.timing.total:.1f} ms")
