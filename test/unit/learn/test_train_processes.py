"""Several processes train what one process trains, as far as batch norms can be synchronised."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import trees
import yaml
from torch import nn

import dcfm_ros.model.dcfm
from dcfm_lab.learn.config import AugmentConfig, OptimConfig, SourceConfig, TrainConfig
from dcfm_lab.learn.processes import Processes
from dcfm_lab.learn.start import open_source, starting_model, to_plain
from dcfm_lab.learn.train import train

ROOT = Path(__file__).resolve().parents[3]

# Each process draws the dropout of its own samples: without it there is nothing by which they may differ.
WITHOUT_DROPOUT = """
import sys
import dcfm_ros.model.dcfm
from dcfm_ros.cli import main

dcfm_ros.model.dcfm.DROPOUT = 0.0
sys.exit(main(["train", sys.argv[1]]))
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_two_processes_train_what_one_trains(tmp_path, monkeypatch):
    """Crops reach over the images' edges, so the processes do not have equally many labelled pixels."""
    town = trees.town(tmp_path / "town")
    config = TrainConfig(
        train=(SourceConfig("camvid", root=str(town), reach=60, simulate=0.5),),
        input_size=(96, 72),
        steps=1,
        batch=4,
        augment=AugmentConfig(crop=(96, 72), scale=(0.4, 1.0)),
        optim=OptimConfig(name="sgd", lr=0.01, backbone_lr_ratio=1.0, warmup_steps=0, clip_norm=5.0),
        ema_decay=0.5,
        freeze_norm=True,
        amp=False,
        threads=1,
        workers=0,
        picture_every=0,
        tensorboard=False,
        out=str(tmp_path / "one"),
    )
    monkeypatch.setattr(dcfm_ros.model.dcfm, "DROPOUT", 0.0)
    threads = torch.get_num_threads()
    train(config)
    torch.set_num_threads(threads)

    file, script = tmp_path / "town.yaml", tmp_path / "script.py"
    file.write_text(yaml.safe_dump(to_plain(asdict(replace(config, out=str(tmp_path / "two"))))))
    script.write_text(WITHOUT_DROPOUT)
    shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port()), "WORLD_SIZE": "2"}
    processes = [
        subprocess.Popen(
            [sys.executable, str(script), str(file)],
            cwd=ROOT,
            env={**os.environ, **shared, "RANK": str(rank), "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in (0, 1)
    ]
    errors = [process.communicate()[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], errors

    one, two = (torch.load(tmp_path / name / "state.pt", weights_only=True) for name in ("one", "two"))
    # A network that begins at random makes much of rounding: even one process's gradients agree to a twentieth only, if
    # it adds up in another order.
    torch.manual_seed(config.seed)
    begin = starting_model(config, open_source(config, config.train[0])).state_dict()
    for part in ("model", "average"):
        way, other = (
            torch.cat([(state[part][n] - v).flatten() for n, v in begin.items() if n.endswith("weight")])
            for state in (one, two)
        )
        assert float(way.norm()) > 0
        assert float((way - other).norm() / way.norm()) < 0.1, part


@pytest.mark.parametrize(
    ("rank", "freeze_norm", "told"), [(0, False, True), (0, True, False), (1, False, False)]
)
def test_one_process_says_that_norms_are_not_synchronised_on_a_cpu(rank, freeze_norm, told, capsys):
    dist.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{free_port()}", rank=0, world_size=1)
    try:
        Processes(rank, 2, torch.device("cpu")).together(nn.Conv2d(1, 1, 1), freeze_norm)
    finally:
        dist.destroy_process_group()
    words = "PyTorch synchronises batch norms on GPUs only: here each process normalises by its own part"
    assert (words in capsys.readouterr().out) == told
