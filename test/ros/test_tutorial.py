"""The tutorial's commands, in its order and in one folder, as they stand there but smaller: it must not rot."""

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys

import pytest
from processes import SOURCE

from dcfm_ros.model.checkpoint import load_model

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
PAGE = SOURCE / "docs" / "tutorial.md"
BLOCK = re.compile(r"```(\w+)\n(.*?)```", re.DOTALL)
GROUPS = ["way", "walkway", "people", "vehicle", "surroundings"]
SMALLER = {
    "demo": ["--frames", "12", "--size", "160x120"],
    "label prepare": ["--count", "3", "--min-change", "0"],
    "train": ["steps=2", "batch=2", "workers=0", "threads=1", "augment.crop=[64,64]", "tensorboard=false"],
    "evaluate": ["--key-intervals", "2", "--offsets", "1", "--no-baselines", "--speed-frames", "2"],
    "replay": ["--frames", "4"],
}
"""What is put after the tutorial's own words, and counts in their place."""
PATIENT = ["--set", "input_reliability:=reliable", "--set", "input_depth:=500", "--set", "mode:=inline"]
READY = "; images from "


def commands():
    """The words of each line of shell, and the environment that lines before it have exported."""
    exported = {}
    for language, text in BLOCK.findall(PAGE.read_text(encoding="utf-8")):
        for line in text.splitlines() if language == "sh" else ():
            words = shlex.split(line, comments=True)
            if words[0] == "export":
                exported |= dict([words[1].split("=", 1)])
            else:
                yield words, dict(exported)


def test_every_step_of_the_tutorial_works(tmp_path):
    (groups,) = [
        text for language, text in BLOCK.findall(PAGE.read_text(encoding="utf-8")) if language == "yaml"
    ]
    (tmp_path / "groups.yaml").write_text(groups)
    shutil.copytree(SOURCE / "config", tmp_path / "config")
    ran = []
    for words, exported in commands():
        assert words[0] == "dcfm", words
        environment = {
            **os.environ,
            **exported,
            "PYTHONPATH": os.pathsep.join([str(SOURCE), os.environ.get("PYTHONPATH", "")]),
            "PYTHONUNBUFFERED": "1",
            "DCFM_CACHE": str(tmp_path / "cache"),
            "DCFM_ENGINE": "torch",
        }
        name = " ".join(words[1:3]) if words[1] == "label" else words[1]
        smaller = SMALLER.get(name, []) + (PATIENT if name == "demo" else [])
        command = [sys.executable, "-m", "dcfm_ros.cli", *words[1:], *smaller]
        if words[1] == "node":
            run_node(command, environment, tmp_path)
        else:
            print(*words[1:], flush=True)  # which one it was, where the test's time runs out
            done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
            assert done.returncode == 0, f"{' '.join(words)}\n{done.stdout}\n{done.stderr}"
        if name == "label prepare":  # which nobody corrects here
            work = words[words.index("-o") + 1]
            shutil.copy(tmp_path / work / "cvat.zip", tmp_path / f"{work.removesuffix('_work')}_export.zip")
        ran.append(name)
    labelled = ["label prepare"] * 2 + ["label collect"] * 2
    assert ran == ["demo"] * 2 + labelled + ["train", "evaluate", "replay", "export", "node"]
    assert list(load_model(tmp_path / "runs/mine/last.safetensors").card.classes) == GROUPS
    assert (tmp_path / "look" / "index.html").exists() and list((tmp_path / "graphs").glob("*.onnx"))


def run_node(command, environment, folder):
    """Until it waits for images; then it ends as with Ctrl-C."""
    process = subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    said = []
    try:
        for line in process.stdout:
            said.append(line)
            if READY in line:
                process.send_signal(signal.SIGINT)
        assert process.wait() == 0 and any(READY in line for line in said), "".join(said)
    finally:
        process.kill()
        process.wait()
