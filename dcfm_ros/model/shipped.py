"""The weights that come with the package."""

from pathlib import Path

NAME = "dcfm_mobilenetv2_camvid.safetensors"


def default_weights() -> Path:
    """Path of the shipped model; raises DcfmError, naming the places looked at, when it is not installed."""
    from dcfm_ros.share import share_path

    return share_path("weights", NAME)
