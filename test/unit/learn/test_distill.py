"""Soft labels and teachers: what is taught, and what is wrong with it before the first step."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F
import trees

from dcfm_lab.datasets import open_dataset
from dcfm_lab.learn.config import (
    AugmentConfig,
    DistillConfig,
    LossConfig,
    OptimConfig,
    SourceConfig,
    TrainConfig,
)
from dcfm_lab.learn.distill import FLOOR, Teachers, combined, logits_of
from dcfm_lab.learn.soft_labels import SoftLabels
from dcfm_lab.learn.train import train
from dcfm_ros.errors import DcfmError
from dcfm_ros.model.checkpoint import save_model
from dcfm_ros.model.classes import CAMVID
from dcfm_ros.model.config import ModelConfig
from dcfm_ros.model.dcfm import build_model

CLASSES = len(CAMVID.names)


@pytest.fixture(autouse=True)
def threads():
    """Trainings set the number of threads of the process."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def write_soft(
    folder: Path, names: list[str], size: tuple[int, int] = (48, 36), classes: int = CLASSES
) -> Path:
    """Soft labels that are nearly certain of class 3 on the left and of class 1 on the right."""
    folder.mkdir(parents=True, exist_ok=True)
    probability = np.zeros((classes, size[1], size[0]), np.uint8)
    probability[0] = 15
    probability[3, :, : size[0] // 2] = 240
    probability[1, :, size[0] // 2 :] = 240
    for name in names:
        np.savez_compressed(folder / f"{name}.npz", probability=probability)
    return folder


@pytest.fixture
def town(tmp_path) -> Path:
    return trees.town(tmp_path / "town")


@pytest.fixture
def soft(tmp_path) -> Path:
    return write_soft(tmp_path / "soft", [f"0001TP_{number:06d}" for number in (30, 60, 90, 120)])


@pytest.fixture
def config(town, soft, tmp_path) -> TrainConfig:
    return TrainConfig(
        train=(SourceConfig("camvid", root=str(town), soft=str(soft)),),
        input_size=(96, 72),
        steps=1,
        batch=2,
        augment=AugmentConfig(crop=(64, 48)),
        loss=LossConfig(reused=0, consistency=0),
        distill=DistillConfig(weight=1.0),
        optim=OptimConfig(warmup_steps=0),
        amp=False,
        threads=1,
        workers=0,
        log_every=1,
        out=str(tmp_path / "out"),
        picture_every=1,
        tensorboard=False,
    )


# -- soft labels -----------------------------------------------------------------------------------------------


def test_soft_labels_of_a_frame(town, soft):
    labels = SoftLabels(soft, open_dataset("camvid", town))
    assert labels[2].shape == (36, 48, CLASSES) and labels[2].dtype == np.uint8
    assert labels[2][5, 10].tolist() == [15, 0, 0, 240, *7 * [0]]


def spoil(folder: Path, what: str) -> None:
    path = folder / "0001TP_000030.npz"
    if what == "missing":
        (folder / "0001TP_000090.npz").unlink()
    elif what == "damaged":
        path.write_bytes(path.read_bytes()[:200])
    elif what == "other":
        np.savez(path, labels=np.zeros(3))
    elif what == "float":
        np.savez(path, probability=np.zeros((CLASSES, 9, 9)))
    elif what == "classes":
        write_soft(folder, [path.stem], classes=19)


@pytest.mark.parametrize(
    ("what", "message"),
    [
        (
            "missing",
            r"1 of 4 frames have no soft labels \('.*0001TP_000090.npz' is missing\); expected soft labels as NAME.npz",
        ),
        ("damaged", r"0001TP_000030.npz' cannot be read \(.*\); expected soft labels"),
        ("other", r"0001TP_000030.npz' cannot be read \(.*\); expected soft labels"),
        ("float", r"0001TP_000030.npz' holds float64 11×9×9; expected soft labels"),
        ("classes", r"0001TP_000030.npz' holds 19 classes, the dataset has 11"),
    ],
)
def test_wrong_soft_labels_end_a_training_before_its_first_step(config, soft, what, message):
    spoil(soft, what)
    with pytest.raises(DcfmError, match=message):
        train(config)
    assert not (Path(config.out) / "log.jsonl").exists()


def test_a_wrong_folder_ends_a_training_before_its_first_step(config):
    source = replace(config.train[0], soft="nowhere")
    with pytest.raises(DcfmError, match="nowhere' does not exist; expected soft labels as NAME.npz"):
        train(replace(config, train=(source,)))
    assert not (Path(config.out) / "log.jsonl").exists()


# -- teachers --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def teacher(tmp_path_factory) -> Path:
    torch.manual_seed(1)
    path = tmp_path_factory.mktemp("teacher") / "teacher.safetensors"
    save_model(build_model(ModelConfig()), path)
    return path


def test_soft_labels_alone_are_taught_where_there_are_any():
    soft = torch.zeros(1, 4, 2, 3, dtype=torch.uint8)
    soft[0, 1, :, :2], soft[0, 2, :, :2] = 202, 51
    soft[0, 1, 0, 2] = 100  # The edge of the picture: more of it lies outside.
    taught = combined(soft, None, 1.0)
    assert taught.shape == soft.shape
    expected = np.array([FLOOR, 202 / 253, 51 / 253, FLOOR])
    assert taught[0, :, 0, 0].numpy() == pytest.approx(expected / expected.sum(), rel=1e-5)
    assert torch.all(taught[..., 2] == 0)


def test_soft_labels_and_a_teacher_are_taught_as_their_geometric_mean():
    torch.manual_seed(0)
    soft, logits = torch.zeros(1, 3, 8, 8, dtype=torch.uint8), torch.randn(1, 3, 2, 2)
    soft[:, :2, :, :4] = torch.tensor([204, 51], dtype=torch.uint8).view(2, 1, 1)
    taught = combined(soft, logits, 1.0)
    own = F.interpolate(logits, (8, 8), mode="bilinear").softmax(1)
    mean = torch.sqrt(own * torch.tensor([0.8, 0.2, FLOOR]).view(3, 1, 1))
    torch.testing.assert_close(taught[..., :4], (mean / mean.sum(1, keepdim=True))[..., :4])
    torch.testing.assert_close(taught[..., 4:], own[..., 4:])


def test_a_high_temperature_softens_what_is_taught():
    logits = torch.tensor([2.0, 0.0, -1.0]).view(1, 3, 1, 1)
    nothing = torch.zeros(1, 3, 1, 1, dtype=torch.uint8)
    torch.testing.assert_close(combined(nothing, logits, 4.0), (logits / 4).softmax(1))


def test_a_teacher_sees_the_frames_of_the_student(teacher):
    teachers = Teachers(DistillConfig(1.0, 2.0, str(teacher)), CAMVID.names, torch.device("cpu"))
    frames = torch.randint(0, 256, (2, 3, 32, 64), dtype=torch.uint8)
    taught = teachers.taught(frames, torch.zeros(2, CLASSES, 32, 64, dtype=torch.uint8))
    logits = F.interpolate(logits_of(teachers.model, frames), (32, 64), mode="bilinear", align_corners=False)
    torch.testing.assert_close(taught, (logits / 2).softmax(1))
    assert not any(parameter.requires_grad for parameter in teachers.model.parameters())


def test_a_teacher_of_other_classes_ends_a_training_before_its_first_step(config, tmp_path):
    path = tmp_path / "two.safetensors"
    save_model(build_model(ModelConfig(num_classes=2)), path)
    with pytest.raises(
        DcfmError, match="the teacher '.*two.safetensors' has the classes class_0, class_1, the dataset sky"
    ):
        train(replace(config, distill=DistillConfig(1.0, teacher=str(path))))
    with pytest.raises(
        DcfmError, match="'distill.teacher' is '.NOWHERE/t', but the environment variable NOWHERE is not"
    ):
        train(replace(config, distill=DistillConfig(1.0, teacher="$NOWHERE/t"), out=config.out + "2"))


def test_somebody_has_to_teach(config):
    with pytest.raises(
        DcfmError,
        match="'distill.weight' is 1.0, but there is nothing to learn from; set distill.teacher= or train.N",
    ):
        replace(config, train=(replace(config.train[0], soft=""),))


# -- in a training ---------------------------------------------------------------------------------------------


def test_a_training_with_soft_labels_and_a_teacher(config, teacher, tmp_path):
    folder = trees.frames(tmp_path / "yard")
    write_soft(tmp_path / "yard_soft", [f"{number:06d}" for number in (0, 4, 8)], size=(12, 8))
    unlabelled = SourceConfig(
        "unlabelled",
        root=str(folder),
        soft=str(tmp_path / "yard_soft"),
        options={"every": 4, "size": [96, 72]},
    )
    for name, changed in {
        "soft": config,
        "teacher": replace(config, distill=DistillConfig(1.0, 2.0, str(teacher))),
        "unlabelled": replace(config, train=(config.train[0], unlabelled)),
        "none": replace(config, distill=DistillConfig()),
    }.items():
        train(replace(changed, out=f"{config.out}/{name}"))
        line = json.loads((Path(config.out) / name / "log.jsonl").read_text().splitlines()[0])
        assert np.isfinite(line["total"]) and line["total"] > 0
        columns = 5 if name == "none" else 6
        assert cv2.imread(f"{config.out}/{name}/pictures/0000001.png").shape == (2 * 48, columns * 64, 3)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_what_is_taught_is_learnt_without_a_label(config, tmp_path):
    """The frames say nothing about it, so it is learnt by heart: left is road, right is building."""
    folder = trees.frames(tmp_path / "yard", count=2, size=(96, 72))
    write_soft(tmp_path / "soft", ["000000", "000001"])
    still = AugmentConfig((96, 72), (1.0, 1.0), 0, brightness=0, contrast=0, saturation=0, hue=0)
    source = SourceConfig("unlabelled", root=str(folder), soft=str(tmp_path / "soft"))
    rates = OptimConfig(lr=0.01, backbone_lr_ratio=1.0, warmup_steps=5, weight_decay=0, clip_norm=5)
    train(replace(config, train=(source,), augment=still, optim=rates, steps=60, picture_every=60))
    picture = cv2.imread(f"{config.out}/pictures/0000060.png")[..., ::-1]
    taught, mask = picture[:72, 3 * 96 : 4 * 96], picture[:72, 4 * 96 : 5 * 96]
    assert taught[30, 10].tolist() == list(CAMVID.colors[3]) and taught[30, 80].tolist() == list(
        CAMVID.colors[1]
    )
    assert np.all(taught == mask, axis=-1).mean() > 0.95
