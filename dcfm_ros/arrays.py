"""What pictures and masks are, for type hints."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
"""H×W×3, RGB, 0-255."""
Mask = NDArray[np.uint8]
"""H×W: class ids, UNLABELLED where there is none; or confidences, 0-255."""
UNLABELLED = 255
"""The value of a pixel that has no class."""

Floats = NDArray[np.float32]
"""Numbers of any shape."""
