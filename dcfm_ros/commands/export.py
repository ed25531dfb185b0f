"""`dcfm export`: a model as ONNX graphs, and engines built ahead of time."""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from tqdm import tqdm

from dcfm_ros.arrays import Image
from dcfm_ros.commands.options import add_force, add_model, add_options, add_size, add_words, read_options
from dcfm_ros.config import Size
from dcfm_ros.engines.config import ENGINES, EngineConfig
from dcfm_ros.errors import DcfmError, required, say
from dcfm_ros.files import check_outputs
from dcfm_ros.media.open_source import open_source

if TYPE_CHECKING:
    from dcfm_ros.model.dcfm import DCFM


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Write a model's graphs as ONNX files, compared with torch, and build engines ahead of time, so that the first "
        "start on a robot is as quick as every other. Without -o and --engines: the engine that `auto` takes is built."
    )
    add_model(parser, "weights", nargs="?", type=Path)
    parser.add_argument("-o", "--output", type=Path, help="folder for the ONNX files")
    add_size(parser, "--size", "input size (default: the model's own)")
    add_words(parser, "--engines", f"engines to build, as in openvino,tensorrt; of {', '.join(ENGINES)}")
    add_options(parser, EngineConfig, only=("precision", "device"))
    parser.add_argument(
        "--calibrate",
        type=Path,
        metavar="PATH",
        help="a bag, a video or a folder of images: what int8 is calibrated on, and graphs are compared on",
    )
    parser.add_argument("--topic", help="the image topic of the bag")
    add_force(parser)


def run(args: argparse.Namespace) -> int:
    """Exports and builds, and says what came out."""
    # Imported here, as below: with torch they take seconds, which `--help` does not need.
    from dcfm_ros.model.checkpoint import load_model
    from dcfm_ros.model.shipped import weights_path

    unused = [name for name in ("precision", "device") if getattr(args, name) != "auto"]
    if args.output and not args.engines and unused:
        raise DcfmError(
            f"--{unused[0]} {getattr(args, unused[0])} is for engines, and none is built here: ONNX files are fp32 for any "
            f"device; leave it out, or add --engines"
        )
    weights = weights_path(args.weights)
    if args.output:
        read = [weights, *([args.calibrate] if args.calibrate else [])]
        check_outputs(graph_files(args.output), force=args.force, read=read)
    model = load_model(weights)
    size = args.size or model.card.input_size
    frames = read_frames(args.calibrate, args.topic, size) if args.calibrate else []
    if args.output:
        try:
            export(model, size, args.output, frames)
        except OSError as error:
            raise DcfmError(
                f"The graphs cannot be written to {args.output}: {error.strerror or error}."
            ) from error
    engines = args.engines or ([] if args.output else ["auto"])
    for name in engines:
        build(weights, read_options(args, EngineConfig, engine=name), size, frames)
    return 0


def read_frames(path: Path, topic: str | None, size: Size) -> list[Image]:
    """As many frames as are calibrated on, spread over all, at `size`. Raises DcfmError when there is none."""
    from dcfm_ros.engines.graph.quantise import CALIBRATION_FRAMES
    from dcfm_ros.stream.preprocess import preprocess

    with open_source(path, topic) as source:
        step = max(1, (source.length or 0) // CALIBRATION_FRAMES)
        frames: list[Image] = []
        for i, frame in enumerate(
            tqdm(source, desc="reading frames", unit="frame", total=source.length, disable=None)
        ):
            if i % step == 0:
                frames.append(np.array(preprocess(frame.rgb, size)))
            if len(frames) == CALIBRATION_FRAMES:
                break
    if not frames:
        raise DcfmError(f"'{path}' has no frames that can be read")
    return frames


def graph_files(folder: Path) -> list[Path]:
    """What `export` writes."""
    from dcfm_ros.engines.graph.export import GRAPHS

    return [folder / f"{name}.onnx" for name in GRAPHS]


def export(model: DCFM, size: Size, folder: Path, frames: Sequence[Image]) -> None:
    """Writes the graphs with their metadata and compares what ONNX Runtime makes of them with torch."""
    from dcfm_ros.engines.graph.check import check_graphs
    from dcfm_ros.engines.graph.export import GRAPHS, add_metadata, export_graphs
    from dcfm_ros.engines.graph.onnxruntime import OnnxRuntimeLibrary

    required("onnx", "exporting a model")
    library = OnnxRuntimeLibrary("onnxruntime", EngineConfig(device="cpu"))
    # Beside them until they are whole and checked: whoever loads a graph finds a good one.
    with tempfile.TemporaryDirectory(prefix=".", dir=folder) as name:
        partial = Path(name)
        paths = export_graphs(model, size, partial)
        for path in paths.values():
            add_metadata(path, model, size)
        runners = {name: library.load(paths[name], partial, spec, 0) for name, spec in GRAPHS.items()}
        agreement = check_graphs(model, runners, size, "fp32", frames)
        for path in paths.values():
            path.replace(folder / path.name)
    for path in graph_files(folder):
        say(f"{path}  {path.stat().st_size / 1e6:.1f} MB")
    on = f"{min(len(frames), 4)} frames" if frames else "synthetic pictures (give real ones with --calibrate)"
    say(f"ONNX Runtime labels {100 * agreement:.3f} % of the pixels as torch does, on {on}")


def build(weights: Path, config: EngineConfig, size: Size, frames: Sequence[Image]) -> None:
    """Raises DcfmError where the engine cannot be built."""
    from dcfm_ros.engines.factory import create_engine

    begin = time.perf_counter()
    engine = create_engine(weights, config, frames=frames)
    engine.prepare(size)
    if engine.problem:
        raise DcfmError(engine.problem)
    seconds = time.perf_counter() - begin
    say(
        f"engine {engine.name}, {engine.precision}, {engine.device} is ready for {size[0]}×{size[1]} ({seconds:.0f} s)"
    )
