"""What the stream asks of an engine."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from dcfm_ros.model import ModelCard

Image = NDArray[np.uint8]
Mask = NDArray[np.uint8]

UNLABELLED = 255
"""The value of a pixel that has no class."""


class Engine(Protocol):
    """Runs a model. One engine serves any number of streams, and every method may be called from several threads.

    What `independent`, `common` and `logits` return is the engine's own business: whoever calls them only hands it on.
    Results are new values that later calls do not change.

    Attributes:
        card: names, colours, input size of the model.
        name: "torch", ...
        device: "cpu", "cuda", ...
        precision: "fp32", "fp16", ...
    """

    card: ModelCard
    name: str
    device: str
    precision: str

    def independent(self, rgb: Image) -> Any:
        """The independent feature of a frame. rgb: uint8 H×W×3 at the network's input size, 0-255.

        The caller may reuse `rgb` when this returns.
        """

    def common(self, independent: Any) -> Any:
        """The common feature of the frame whose independent feature is given, ready to be fused with any frame's.

        It goes on from the independent feature, and does all of the fusion that does not change between key frames.
        """

    def logits(self, common: Any, independent: Any) -> Any:
        """The fusion and the classifier: logits at low resolution."""

    def label_map(
        self, logits: Any, size: tuple[int, int], *, confidence: bool = False
    ) -> tuple[Mask, Mask | None]:
        """The class of every pixel at `size` = (width, height), by bilinear upsampling and arg-max.

        Returns the mask, uint8 H×W, `UNLABELLED` where the logits are not finite, and when asked the winner's softmax
        probability as uint8 H×W, 0-255, else None.
        """
