"""The weights that come with the package, by name."""

from __future__ import annotations

from pathlib import Path

from dcfm_ros.share import share_path

MODELS = {name: f"dcfm_mobilenetv2_{name}.safetensors" for name in ("street", "camvid")}
"""Name -> file in `weights/`; the first one is the default."""
ACCURACY = {"street": "test 67.9, val 76.9, K = 10 76.2", "camvid": "test 66.3, val 75.9, K = 10 75.5"}
"""mIoU on CamVid, %, as docs/results.md has it: frame by frame on `test` and on `val`, and a key frame every ten on `val`."""


def default_weights() -> Path:
    """Path of the default model; raises DcfmError, naming the places looked at, when it is not installed."""
    return weights_path(None)


def weights_path(given: str | Path | None) -> Path:
    """The file of a model that is given by its name in MODELS or by a path; nothing or "" is the default one.

    Raises DcfmError where a model of the package is not installed; whether a path exists is not looked at.
    """
    name = str(given or next(iter(MODELS)))
    return share_path("weights", MODELS[name]) if name in MODELS else Path(name)
