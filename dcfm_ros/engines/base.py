"""What the stream asks of an engine."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, Protocol

from dcfm_ros.arrays import Floats, Image, Mask
from dcfm_ros.config import Size
from dcfm_ros.model.config import ModelCard

MAX_PIECES = 16
"""A common branch is cut into no more. More cost more than they spare: each begins and ends somewhere."""


class Engine(Protocol):
    """Runs a model. One engine serves any number of streams, and every method may be called from several threads.

    What `independent`, `common` and `logits` return is the engine's own business: callers only hand it on.
    Results are new values that later calls do not change.

    card: names, colours, input size of the model. name: "torch", ... device: "cpu", "cuda", ... precision:
    "fp32", "fp16", ... problem: why the engine is not the one that was asked for, or what it lost since; ""
    while all is well.
    """

    @property
    def card(self) -> ModelCard: ...

    @property
    def name(self) -> str: ...

    @property
    def device(self) -> str: ...

    @property
    def precision(self) -> str: ...

    @property
    def problem(self) -> str: ...

    def prepare(self, size: Size, pieces: bool = False) -> None:
        """Builds and loads what frames of `size` = (width, height) need, so that the first of them is not slow.

        pieces: what `common_slices` needs, too, so that the first key frame in pieces holds no frame up.
        """

    def independent(self, rgb: Image) -> Any:
        """The independent feature of a frame. rgb: uint8 H×W×3 at the network's input size, 0-255.

        The caller may reuse `rgb` when this returns.
        """

    def common(self, independent: Any) -> Any:
        """The common feature of the frame whose independent feature is given, ready to be fused with any frame's.

        It goes on from the independent feature, and does all of the fusion that does not change between key frames.
        """

    def common_slices(self, independent: Any, pieces: int) -> Generator[None, None, Any]:
        """`common` in about `pieces` equal parts: a generator that computes one part at each `next`.

        Fewer where it cannot be cut so finely; the first time they may be more. Its return value (the StopIteration's) is
        what `common(independent)` returns. On a CUDA GPU it is all one part, and on a background handle may be.
        """

    def align(self, common: Any, displacement: Floats) -> Any:
        """A common feature moved to where its things are now; `common` itself stays as it is.

        displacement: float32 h×w×2 on any grid, finite: from a pixel to where it was in the key frame, x and y as shares
        of the picture's width and height. The move is bilinear, the border is repeated.
        """

    def move(self, logits: Any, displacement: Floats) -> Any:
        """What `logits` returned for another frame, moved as `align` moves a common feature."""

    def background(self, threads: int) -> Engine:
        """A handle on the same weights whose `common` uses `threads` compute threads, for a worker beside the frames.

        Where the library allows it, `common` computes on the thread that calls it, so that this thread's priority
        counts. What one handle returns, the other takes. Raises DcfmError when `threads` is less than one.
        """

    def logits(self, common: Any, independent: Any) -> Any:
        """The fusion and the classifier: logits at low resolution."""

    def label_map(self, logits: Any, size: Size, *, confidence: bool = False) -> tuple[Mask, Mask | None]:
        """The class of every pixel at `size` = (width, height), by bilinear upsampling and arg-max.

        Returns the mask, uint8 H×W, `UNLABELLED` where the logits are not finite, and when asked the winner's softmax
        probability as uint8 H×W, 0-255, else None.
        """
