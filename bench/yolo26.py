"""Times streams of the shipped model beside a small per-frame network that users know, and writes a table of docs/alignment.md.

    pip install ultralytics             AGPL-3.0: for this comparison alone, not a part of this package
    python bench/yolo26.py              some minutes
    python bench/yolo26.py --page       the table from what was measured

YOLO26n-sem runs as its network alone, from a float image in the network's layout to its label map, in OpenVINO and fp32 as the
streams do. Its weights are random: they are on no package index, and change nothing of the time. The streams' times are
whole: from an image in memory to its mask. All take their turn on each frame.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from markdown import fill, measured_page

from dcfm_lab.measure.rounds import WARM_UP, rotated
from dcfm_ros.arrays import Image
from dcfm_ros.engines.config import EngineConfig
from dcfm_ros.engines.factory import create_engine
from dcfm_ros.errors import required
from dcfm_ros.measure.machine import MachineFacts, OthersLoad, this_machine
from dcfm_ros.measure.table import Table, number
from dcfm_ros.model.shipped import weights_path
from dcfm_ros.stamps import FRAME_NS
from dcfm_ros.stream.config import StreamConfig
from dcfm_ros.stream.segmenter import StreamSegmenter
from dcfm_ros.stream.trigger_grammar import NEVER_MS, OFF
from dcfm_ros.street import SyntheticDrive

RESULTS, PAGE = HERE / "results" / "yolo26.json", HERE.parent / "docs" / "alignment.md"
MARKS = "<!-- yolo26: begin -->", "<!-- yolo26: end -->"
FORMAT = "dcfm yolo26 1"
MODEL = "yolo26n-sem"
SIZE = (512, 384)
"""Width and height that both see."""
KEY_INTERVAL = 10
INDEPENDENT = (1, 2, 3, 5)
FRAMES = 240


@dataclass(frozen=True)
class Stream:
    """Median milliseconds by kind of frame, and on average over a key interval; moved_ms: None where none was moved."""

    independent_interval: int
    key_ms: float
    other_ms: float
    moved_ms: float | None
    mean_ms: float


@dataclass(frozen=True)
class Result:
    """All that the table shows. others: cores that other processes kept busy meanwhile."""

    format: str
    version: str
    parameters: int
    network_ms: float
    streams: tuple[Stream, ...]
    others: float
    machine: MachineFacts


def measure() -> Result:
    """Times everything in turns."""
    network, parameters, version = yolo26()
    engine = create_engine(weights_path(None), EngineConfig(engine="openvino", precision="fp32"))
    config = StreamConfig(
        **{**OFF, "key_interval": KEY_INTERVAL, "max_age_ms": NEVER_MS},
        mode="inline",
        align="flow",
        agreement=False,
        input_size=SIZE,
    )
    streams = {
        every: StreamSegmenter(engine, replace(config, independent_interval=every)) for every in INDEPENDENT
    }
    drive = SyntheticDrive(0, SIZE, length=FRAMES + WARM_UP)
    load, frame_ms = OthersLoad(), list[float]()
    times: dict[int, dict[str, list[float]]] = {every: {} for every in INDEPENDENT}
    for index in range(FRAMES + WARM_UP):
        rgb = drive[index].image
        for who in rotated([0, *INDEPENDENT], index):
            begin = time.perf_counter()
            kind = _kind(streams[who], rgb, index) if who else network()
            milliseconds = 1e3 * (time.perf_counter() - begin)
            if index >= WARM_UP:
                (times[who].setdefault(kind, []) if who else frame_ms).append(milliseconds)
    return Result(
        FORMAT,
        version,
        parameters,
        statistics.median(frame_ms),
        tuple(_stream(every, times[every]) for every in INDEPENDENT),
        load.cores(),
        this_machine(),
    )


def yolo26() -> tuple[Callable[[], str], int, str]:
    """A function that runs the network once on an image of noise; how many parameters it has; ultralytics' version."""
    os.environ.setdefault("YOLO_OFFLINE", "true")  # it asks the network at its import otherwise
    ultralytics = required("ultralytics", "comparing with YOLO26")
    tasks = required("ultralytics.nn.tasks", "comparing with YOLO26", "ultralytics")
    import openvino
    import torch

    model = tasks.SemanticSegmentationModel(f"{MODEL}.yaml", nc=11, verbose=False).eval()
    parameters = sum(parameter.numel() for parameter in model.parameters())
    model = model.fuse(verbose=False)
    for module in model.modules():
        if hasattr(module, "export"):
            module.export, module.format = True, "openvino"
    shape = (1, 3, SIZE[1], SIZE[0])
    graph = openvino.convert_model(model, example_input=torch.zeros(shape), input=[shape])
    settings = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
    request = openvino.Core().compile_model(graph, "CPU", settings).create_infer_request()
    image = np.random.default_rng(0).random(shape, np.float32)

    def run() -> str:
        request.infer({0: image})
        return ""

    return run, parameters, str(ultralytics.__version__)


def _kind(stream: StreamSegmenter, rgb: Image, index: int) -> str:
    done = stream.step(rgb, (index + 1) * FRAME_NS)
    return "key" if done.key_frame else "moved" if done.moved else "other"


def _stream(every: int, times: dict[str, list[float]]) -> Stream:
    medians = {kind: statistics.median(values) for kind, values in times.items()}
    count = sum(map(len, times.values()))
    mean = sum(medians[kind] * len(values) for kind, values in times.items()) / count
    return Stream(every, medians["key"], medians["other"], medians.get("moved"), mean)


def render(result: Result, text: str) -> str:
    """The page's text with the table between its marks."""
    yolo = result.network_ms

    def cell(milliseconds: float | None) -> str:
        return "–" if milliseconds is None else f"{number(milliseconds)} ms, {milliseconds / yolo:.2f}×"

    table = Table.of(
        result.streams,
        (
            (
                "independent feature of",
                lambda s: f"every {s.independent_interval}" if s.independent_interval > 1 else "every frame",
            ),
            ("key frame", lambda s: cell(s.key_ms)),
            ("frame that borrows", lambda s: cell(s.other_ms)),
            ("frame whose mask moves", lambda s: cell(s.moved_ms)),
            (f"mean at K = {KEY_INTERVAL}", lambda s: cell(s.mean_ms)),
        ),
    )
    machine = result.machine
    lines = [
        f"At {SIZE[0]}×{SIZE[1]}, {MODEL} ({result.parameters / 1e6:.1f} M parameters, ultralytics {result.version}, random "
        f"weights) takes {number(yolo)} ms; the shipped model in milliseconds and as a multiple of that, medians:",
        "",
        table.markdown(),
        "",
        f"{machine.processor}, {machine.cores} cores, OpenVINO, fp32; other processes kept {result.others:.1f} cores busy "
        "meanwhile. `python bench/yolo26.py`",
    ]
    return fill(text, MARKS, "\n".join(lines)) or text


def main() -> int:
    """Exit status 0: done."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    return measured_page(parser, PAGE, RESULTS, Result, lambda _: measure(), render)


if __name__ == "__main__":
    sys.exit(main())
