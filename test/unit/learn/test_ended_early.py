"""Ctrl-C and SIGTERM end every command in the same way: with what it measured until then, whole files, and status 130."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest
import trees

from dcfm_lab.bench.result import FORMAT, Report
from dcfm_lab.evaluation.report import load_report
from dcfm_lab.measure.result_file import load_result

# A command in a process of its own that is sent a signal at the nth call of a function within it.
RUN = """
import importlib, os, sys
module, _, name = sys.argv[1].rpartition(":")
owner, nth, number = importlib.import_module(module), int(sys.argv[2]), int(sys.argv[3])
for part in name.split(".")[:-1]:
    owner = getattr(owner, part)
real, calls = getattr(owner, name.split(".")[-1]), []
def counted(*args, **kwargs):
    calls.append(1)
    if len(calls) == nth:
        os.kill(os.getpid(), number)
    return real(*args, **kwargs)
setattr(owner, name.split(".")[-1], counted)
from dcfm_ros.cli import main
sys.exit(main(sys.argv[4:]))
"""


def ended(at: str, nth: int, *words: object, by: int = signal.SIGTERM) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", RUN, at, str(nth), str(int(by)), *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 130, done.stderr
    assert "Traceback" not in done.stderr
    return done


@pytest.fixture(scope="module")
def weights(random_weights) -> Path:
    return random_weights(0, name="small", input_size=(64, 48))


def evaluate(*weights: Path, footage: Path, json: Path) -> tuple[object, ...]:
    how = ["--threads", "1", "--engine", "torch", "--key-intervals", "1", "--speed-frames", "3"]
    return ("evaluate", *weights, "--data", f"camvid:{footage}", *how, "--json", json)


@pytest.mark.parametrize("by", [signal.SIGTERM, signal.SIGINT])
def test_an_evaluation_tells_of_the_frames_before(weights, footage, tmp_path, by) -> None:
    out = tmp_path / "out.json"
    # Frame 0 is gone to twice.
    words = evaluate(weights, weights, footage=footage, json=out)
    done = ended("dcfm_lab.evaluation.scene:Scene.at", 4, *words, by=by)
    assert "dcfm: interrupted: 0 of 2 models measured to the end; the next lacks 3 frames" in done.stderr
    assert "interrupted: the last 3 were not measured" in done.stdout
    (evaluation,) = load_report(out).evaluations
    assert evaluation.left_out == 3 and 0 <= evaluation.rows[0].mean_iou < 1


def test_an_evaluation_keeps_the_models_before(weights, footage, tmp_path) -> None:
    out = tmp_path / "out.json"
    words = evaluate(weights, weights, footage=footage, json=out)
    done = ended("dcfm_lab.evaluation.measure:measure_speed", 2, *words)
    assert "dcfm: interrupted: 1 of 2 models measured to the end\n" in done.stderr
    assert [evaluation.left_out for evaluation in load_report(out).evaluations] == [0]


def test_an_evaluation_without_a_frame_writes_nothing(weights, footage, tmp_path) -> None:
    out = tmp_path / "out.json"
    words = evaluate(weights, footage=footage, json=out)
    done = ended("dcfm_lab.evaluation.measure:measure_speed", 1, *words)
    assert done.stderr.endswith("dcfm: interrupted\n") and done.stdout == "" and not list(tmp_path.iterdir())


@pytest.mark.slow
def test_a_bench_tells_of_the_rounds_before(weights, tmp_path) -> None:
    pytest.importorskip("numba")  # draws the frames
    out = tmp_path / "out.json"
    what = ["--size", "64x48", "--engines", "torch", "--precisions", "fp32", "--seconds", "600"]
    words = ["bench", "--weights", weights, *what, "--json", out]
    done = ended("dcfm_lab.measure.rounds:rotated", 2, *words)
    assert "dcfm: interrupted: after 2 rounds; labels and memory were not measured" in done.stderr
    ((case,),) = (part.cases for part in load_result(Report, out, FORMAT, "dcfm bench --json").parts)
    assert case.interrupted and case.rounds == case.rows[0].key.count == 2
    assert case.rows[0].agreement is None and "2 rounds (interrupted)" in done.stdout


def test_a_training_saves_its_state(tmp_path) -> None:
    town = trees.town(tmp_path / "town")
    config = tmp_path / "config.yaml"
    config.write_text(
        f"train: [{{dataset: camvid, root: {town}}}]\ninput_size: [96, 72]\nsteps: 9\nbatch: 2\nworkers: 0\n"
        f"augment: {{crop: [64, 48]}}\ndevice: cpu\nthreads: 1\nlog_every: 1\nout: {tmp_path / 'out'}\n"
    )
    done = ended("dcfm_lab.learn.journal:Journal.report", 1, "train", config)
    assert "dcfm: interrupted: stopped after step 1 of 9; go on with --resume" in done.stderr
    assert (tmp_path / "out" / "last.safetensors").is_file()


def test_an_export_leaves_no_half_of_a_graph(weights, tmp_path) -> None:
    pytest.importorskip("onnxruntime")
    out = tmp_path / "out"
    words = ["export", weights, "-o", out, "--size", "64x48"]
    done = ended("dcfm_ros.engines.graph.check:check_graphs", 1, *words)
    assert done.stderr.endswith("dcfm: interrupted\n") and list(out.iterdir()) == []
