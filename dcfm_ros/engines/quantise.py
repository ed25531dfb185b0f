"""int8 graphs: NNCF measures the range of every activation on real frames."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dcfm_ros.engines.base import Image
from dcfm_ros.engines.graphs import GRAPHS
from dcfm_ros.errors import DcfmError

logger = logging.getLogger(__name__)

CALIBRATION_FRAMES = 48
"""More are not read: the ranges change little after some tens of frames."""


def quantise(openvino: Any, graphs: Mapping[str, Path], folder: Path, frames: Sequence[Image]) -> None:
    """Writes each of GRAPHS as an int8 OpenVINO model, `folder`/NAME.xml and .bin.

    openvino: the module. frames: of the graphs' input size, in the order of a video; each is a key frame once.
    Raises DcfmError without frames, and where NNCF is not installed.
    """
    if not frames:
        raise DcfmError(
            "precision 'int8' is calibrated on frames of your camera, and none were given; build it ahead of time: "
            "dcfm export --precision int8 --calibrate BAG_VIDEO_OR_FOLDER"
        )
    nncf = import_nncf()
    core = openvino.Core()
    # Smoothing activations into weights, NNCF's default for transformers, loses most labels of a MiT.
    plain = nncf.AdvancedQuantizationParameters(
        smooth_quant_alphas=nncf.AdvancedSmoothQuantParameters(matmul=-1, convolution=-1)
    )
    samples = _samples(core, graphs, frames[:CALIBRATION_FRAMES])
    for name, spec in GRAPHS.items():
        logger.warning("calibrating the graph '%s' on %d frames", name, len(samples))
        model = core.read_model(str(graphs[name]))
        attends = any(node.get_type_name() == "Softmax" for node in model.get_ops())
        quantised = nncf.quantize(
            model,
            nncf.Dataset([{key: sample[key] for key in spec.inputs} for sample in samples]),
            preset=nncf.QuantizationPreset.MIXED,
            model_type=nncf.ModelType.TRANSFORMER if attends else None,
            subset_size=len(samples),
            ignored_scope=nncf.IgnoredScope(names=weights_first(model)),
            advanced_parameters=plain,
        )
        openvino.save_model(quantised, str(folder / f"{name}.xml"), compress_to_fp16=False)


def weights_first(model: Any) -> list[str]:
    """Names of the matrix products that have their weights on the left: fusion and classifier.

    OpenVINO's CPU plugin cannot run them in int8, and the last layers are those that labels hang on most.
    """
    return [
        node.get_friendly_name()
        for node in model.get_ops()
        if node.get_type_name() == "MatMul" and node.input_value(0).get_node().get_type_name() == "Constant"
    ]


def _samples(core: Any, graphs: Mapping[str, Path], frames: Sequence[Image]) -> list[dict[str, Any]]:
    """What goes into the graphs at each frame. As in a stream, a frame's common feature is that of an earlier one."""
    settings = {"INFERENCE_PRECISION_HINT": "f32"}
    independent_of, common_of = (
        core.compile_model(str(graphs[name]), "CPU", settings) for name in ("independent", "common")
    )
    samples: list[dict[str, Any]] = []
    for frame in frames:
        image = np.ascontiguousarray(frame)[None]
        independent = independent_of(image)[0].copy()
        common = common_of(independent)[0].copy()
        before = samples[-1]["own_common"] if samples else common
        samples.append({"image": image, "independent": independent, "common": before, "own_common": common})
    return samples


def import_nncf() -> Any:
    try:
        import nncf
    except ImportError as error:
        raise DcfmError(f"precision 'int8' needs the package 'nncf': pip install nncf ({error})") from error
    return nncf
