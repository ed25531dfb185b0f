"""DCFM: video semantic segmentation with a common feature per key frame and an independent feature per frame.

The names below are the public interface; everything else may change between minor versions.
"""

from __future__ import annotations

from importlib import import_module
from pkgutil import extend_path
from typing import TYPE_CHECKING, Any

from dcfm_ros.version import __version__

if TYPE_CHECKING:
    from dcfm_ros.engines.config import EngineConfig
    from dcfm_ros.engines.factory import create_engine
    from dcfm_ros.errors import DcfmError
    from dcfm_ros.model.checkpoint import load_model
    from dcfm_ros.model.shipped import default_weights
    from dcfm_ros.stream.config import StreamConfig
    from dcfm_ros.stream.overlay import draw_overlay
    from dcfm_ros.stream.segmentation import Segmentation
    from dcfm_ros.stream.segmenter import StreamSegmenter

# The generated messages (`dcfm_ros.msg`) are built: beside a source tree they lie in the installation.
__path__ = extend_path(__path__, __name__)

__all__ = [
    "DcfmError",
    "EngineConfig",
    "Segmentation",
    "StreamConfig",
    "StreamSegmenter",
    "__version__",
    "create_engine",
    "default_weights",
    "draw_overlay",
    "load_model",
]

# Imported at first use: the package alone, as the command line and the launch files import it, needs no torch.
_HOMES = {
    "DcfmError": "dcfm_ros.errors",
    "EngineConfig": "dcfm_ros.engines.config",
    "Segmentation": "dcfm_ros.stream.segmentation",
    "StreamConfig": "dcfm_ros.stream.config",
    "StreamSegmenter": "dcfm_ros.stream.segmenter",
    "create_engine": "dcfm_ros.engines.factory",
    "default_weights": "dcfm_ros.model.shipped",
    "draw_overlay": "dcfm_ros.stream.overlay",
    "load_model": "dcfm_ros.model.checkpoint",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    value = globals()[name] = getattr(import_module(_HOMES[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
