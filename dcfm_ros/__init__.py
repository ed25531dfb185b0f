"""DCFM: video semantic segmentation with a common feature per key frame and an independent feature per frame."""

from pkgutil import extend_path

# The generated messages (`dcfm_ros.msg`) are built: beside a source tree they lie in the installation.
__path__ = extend_path(__path__, __name__)

__version__ = "0.1.0"
