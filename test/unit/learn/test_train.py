"""Training: what it changes, that it can be repeated and resumed to the bit, and that it learns."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import trees
import yaml

from dcfm_lab.learn.config import AugmentConfig, LossConfig, OptimConfig, SourceConfig, TrainConfig
from dcfm_lab.learn.learner import autocast_type
from dcfm_lab.learn.losses import Truth, symmetric_losses
from dcfm_lab.learn.start import class_weight, open_source, starting_model, to_plain
from dcfm_lab.learn.train import train
from dcfm_lab.learn.validation import validate
from dcfm_ros.cli import main
from dcfm_ros.errors import DcfmError
from dcfm_ros.model.checkpoint import load_model, save_model
from dcfm_ros.model.classes import CAMVID
from dcfm_ros.model.config import ModelCard, ModelConfig
from dcfm_ros.model.dcfm import build_model

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def town(tmp_path_factory) -> Path:
    return trees.town(tmp_path_factory.mktemp("town"))


@pytest.fixture(autouse=True)
def threads():
    """Trainings set the number of threads of the process."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture
def config(town, tmp_path) -> TrainConfig:
    """Two steps of two small pairs, on one thread and in full precision: the same on every machine, to the bit."""
    return TrainConfig(
        train=(SourceConfig("camvid", root=str(town), reach=60, simulate=0.5),),
        input_size=(96, 72),
        steps=2,
        batch=2,
        augment=AugmentConfig(crop=(64, 48)),
        optim=OptimConfig(warmup_steps=0),
        ema_decay=0.9,
        amp=False,
        threads=1,
        workers=0,
        out=str(tmp_path / "out"),
        picture_every=0,
        tensorboard=False,
    )


def state_of(out: str | Path) -> dict:
    return torch.load(Path(out) / "state.pt", weights_only=True)


def beginning(config: TrainConfig):
    torch.manual_seed(config.seed)
    return starting_model(config, open_source(config, config.train[0])).state_dict()


def moved(before: dict, after: dict, part: str) -> list[bool]:
    names = [name for name in before if name.startswith(part) and before[name].is_floating_point()]
    assert names, part
    return [not torch.equal(before[name], after[name]) for name in names]


def same_weights(first: Path, second: Path) -> bool:
    """To the bit."""
    one, other = load_model(first).state_dict(), load_model(second).state_dict()
    return all(torch.equal(value, other[name]) for name, value in one.items())


PARTS = ("backbone.features.0.", "backbone.features.17.", "head.", "fusion.", "classifier.")
STATISTICS = ("running_mean", "running_var")

# -- what changes ----------------------------------------------------------------------------------------------


def test_two_steps_change_every_part(config):
    train(config)
    before, state = beginning(config), state_of(config.out)
    for part in PARTS:
        assert all(moved(before, state["model"], part)), part
        assert all(moved(before, state["average"], part)), part
    # The running average lies between the beginning and where the weights are now.
    name = "fusion.conv.weight"
    way = (state["model"][name] - before[name]).norm()
    assert 0 < (state["average"][name] - before[name]).norm() < way
    assert state["step"] == 2 and state["config"]["batch"] == 2


def test_frozen_norms_keep_their_statistics_and_nothing_else(config):
    train(replace(config, freeze_norm=True, ema_decay=0.0))
    before, state = beginning(config), state_of(config.out)
    for name, value in before.items():
        if name.endswith(STATISTICS):
            assert torch.equal(value, state["model"][name]), name
    for part in PARTS:
        changed = {n: not torch.equal(v, state["model"][n]) for n, v in before.items() if n.startswith(part)}
        assert all(c for n, c in changed.items() if n.endswith(("weight", "bias"))), part


def test_without_average_the_weights_themselves_are_saved(config):
    train(replace(config, ema_decay=0.0))
    state = state_of(config.out)
    assert all(torch.equal(value, state["average"][name]) for name, value in state["model"].items())


def test_the_weights_file_is_the_average_with_a_card_of_its_own(config):
    path = train(replace(config, name="town", licence="CC0", notes="made up"))
    model, average = load_model(path), state_of(config.out)["average"]
    assert all(torch.equal(v, average[n]) for n, v in model.state_dict().items() if "num_batches" not in n)
    assert (model.card.name, model.card.licence, model.card.notes) == ("town", "CC0", "made up")
    assert model.card.input_size == (96, 72) and model.card.classes[0] == "sky"


def test_images_are_normalised_as_the_backbones_imagenet_weights_want_them(config):
    config = replace(config, model=ModelConfig(backbone="efficientnet_lite0", num_classes=11))
    card = starting_model(config, open_source(config, config.train[0])).card
    assert [255 * value for value in (*card.mean, *card.std)] == pytest.approx([127.0] * 3 + [128.0] * 3)


def test_a_rate_of_zero_leaves_the_backbone_where_it_was(config):
    train(replace(config, optim=OptimConfig(warmup_steps=0, backbone_lr_ratio=0.0)))
    before, state = beginning(config), state_of(config.out)
    for name, value in before.items():
        if name.startswith("backbone.") and name.endswith(("weight", "bias")):
            assert torch.equal(value, state["model"][name]), name
    assert all(moved(before, state["model"], "head."))


def test_the_gradient_is_cut(config):
    plain = OptimConfig(
        name="sgd", lr=1.0, backbone_lr_ratio=1.0, momentum=0.0, weight_decay=0.0, warmup_steps=0
    )
    lengths = {}
    for clip in (0.0, 0.01):
        out = Path(config.out) / str(clip)
        train(replace(config, steps=1, ema_decay=0.0, optim=replace(plain, clip_norm=clip), out=str(out)))
        before, after = beginning(config), state_of(out)["model"]
        steps = [(after[n] - v).norm() for n, v in before.items() if n.endswith(("weight", "bias"))]
        lengths[clip] = float(torch.stack(steps).norm())
    assert lengths[0.0] > 0.1
    assert lengths[0.01] == pytest.approx(0.01, rel=1e-2)


def test_it_goes_on_from_a_model(config, town):
    first = train(config)
    second = replace(config, init=str(first), steps=1, optim=OptimConfig(lr=1e-9), out=config.out + "2")
    train(second)
    before, after = load_model(first).state_dict(), state_of(second.out)["model"]
    torch.testing.assert_close(after["fusion.conv.weight"], before["fusion.conv.weight"], atol=1e-6, rtol=0)


@pytest.mark.parametrize(("in_use", "card"), [("", "none"), ("flow", "flow")])
def test_the_card_says_how_the_model_is_to_be_used(config, in_use, card):
    assert load_model(train(replace(config, steps=1, align_in_use=in_use))).card.align == card


def test_it_goes_on_from_a_model_of_other_classes_and_says_so(config, tmp_path, capsys):
    known = CAMVID.names[:3]
    card = ModelCard(classes=(*known, "sofa"), colors=((0, 0, 0),) * 4)
    other = build_model(ModelConfig(num_classes=4, independent_feature="stride4"), card)
    save_model(other, tmp_path / "other.safetensors")
    begun = beginning(replace(config, init=str(tmp_path / "other.safetensors")))
    before = other.state_dict()
    assert begun["classifier.1.weight"].shape[0] == 11
    assert torch.equal(begun["classifier.1.weight"][:3], before["classifier.1.weight"][:3])
    assert torch.equal(begun["fusion.conv.weight"], before["fusion.conv.weight"])
    told = capsys.readouterr().out
    assert f"classes that begin at random: {', '.join(CAMVID.names[3:])}; classes left out: sofa" in told
    wider = replace(config, init=str(tmp_path / "other.safetensors"), model=ModelConfig())
    assert beginning(wider)["fusion.conv.weight"].shape[1] > before["fusion.conv.weight"].shape[1]


def test_recordings_of_ones_own_begin_with_the_shipped_weights(tmp_path, monkeypatch, capsys):
    """The command of the documentation, in small."""
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("DCFM_RECORDINGS", str(trees.recordings(tmp_path / "mine")))
    monkeypatch.setenv("DCFM_CACHE", str(tmp_path / "cache"))
    small = [
        "steps=2",
        "batch=2",
        "workers=0",
        "threads=1",
        "augment.crop=[64,64]",
        f"out={tmp_path / 'out'}",
    ]
    assert main(["train", "config/train/recordings.yaml", *small]) == 0
    told = capsys.readouterr().out
    assert "classes that begin at random: floor, wall; classes left out: sky, building" in told
    trained = load_model(tmp_path / "out" / "last.safetensors")
    assert trained.card.classes == ("floor", "wall") and trained.config.num_classes == 2


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no device that is full")
@pytest.mark.parametrize("name", ["state.pt", "log.jsonl"])
def test_a_full_disk_is_one_line_that_names_the_file(config, monkeypatch, name):
    opened = Path.open

    def full(path, *arguments, **options):
        of_it = path.name == name or path.name.startswith(f".{name}")
        return opened(
            Path("/dev/full") if of_it else path,
            *(["wb"] if "b" in arguments[0] else ["w"]) if of_it else arguments,
            **options,
        )

    monkeypatch.setattr(Path, "open", full)
    with pytest.raises(OSError, match="No space left") as caught:
        train(config)
    assert caught.value.filename == str(Path(config.out) / name)


def test_the_best_weights_are_kept_beside_the_last(config, monkeypatch):
    found = iter([0.2, 0.5, 0.4, 0.3, 0.6])
    monkeypatch.setattr("dcfm_lab.learn.train.validate", lambda *_: {"mIoU": next(found)})
    measured = replace(config, val=config.train, eval_every=1, steps=3)
    last = train(measured)
    best = last.with_name("best.safetensors")
    assert not same_weights(last, best)
    second = best.read_bytes()
    with (best.parent / "log.jsonl").open("a") as log:
        log.write('{"kind": "camvid_tr\n')  # as a training leaves it that is killed while it writes
    train(replace(measured, steps=4), resume=True)  # 0.3: what was best before it was resumed stays so
    assert best.read_bytes() == second
    assert same_weights(train(replace(measured, steps=5), resume=True), best)


def test_features_of_neighbours_need_not_learn(config):
    """The loss is the same but for the batch norms' statistics; no gradient comes from the neighbour's features."""
    model = starting_model(config, open_source(config, config.train[0])).eval()
    rng = torch.Generator().manual_seed(0)
    frames, neighbours = (torch.rand(2, 3, 48, 64, generator=rng) for _ in range(2))
    target = torch.randint(0, 11, (2, 48, 64), generator=rng)
    losses, gradients = [], []
    for through in (True, False):
        neighbours = neighbours.detach().requires_grad_()
        terms = symmetric_losses(
            model, frames, neighbours, Truth(target), LossConfig(through_neighbour=through)
        )
        terms.total.backward()
        losses.append(float(terms.total.detach()))
        gradients.append(neighbours.grad)
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    assert gradients[0].abs().sum() > 0 and gradients[1] is None


def test_an_aligned_training_differs_and_says_so_on_its_card(config):
    weights = {
        align: train(replace(config, align=align, picture_every=1, out=f"{config.out}_{align}"))
        for align in ("none", "flow")
    }
    assert [load_model(path).card.align for path in weights.values()] == ["none", "flow"]
    assert not same_weights(weights["none"], weights["flow"])
    pictures = [cv2.imread(str(path.parent / "pictures" / "0000001.png")) for path in weights.values()]
    assert pictures[0].shape == pictures[1].shape


# -- the same again --------------------------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_weights_and_another_one_others(config):
    paths = [train(replace(config, seed=seed, out=f"{config.out}{i}")) for i, seed in enumerate((3, 3, 4))]
    assert same_weights(paths[0], paths[1]) and not same_weights(paths[0], paths[2])


@pytest.mark.parametrize("half", [torch.bfloat16])
def test_mixed_precision_on_a_cpu_learns_the_same_to_its_precision(config, half):
    if autocast_type(torch.device("cpu")) != half:
        pytest.skip("this CPU does not compute in bfloat16")
    losses = []
    for amp in (False, True):
        out = Path(config.out + str(amp))
        train(replace(config, amp=amp, log_every=1, out=str(out)))
        losses.append([json.loads(line)["total"] for line in (out / "log.jsonl").read_text().splitlines()])
    assert losses[0] != losses[1]
    assert losses[0] == pytest.approx(losses[1], rel=0.05)


@pytest.fixture
def long(config) -> TrainConfig:
    return replace(config, steps=12, save_every=1, log_every=1)


def test_an_interrupted_training_goes_on_as_if_nothing_had_happened(long, monkeypatch):
    whole = train(long)

    def interrupt(self, step, rate):
        if step == 3:
            os.kill(os.getpid(), signal.SIGTERM)

    stopped = replace(long, out=long.out + "_stopped")
    with monkeypatch.context() as patch:
        patch.setattr("dcfm_lab.learn.journal.Journal.report", interrupt)
        with pytest.raises(DcfmError, match="stopped after step 3 of 12; go on with --resume"):
            train(stopped)
    with pytest.raises(DcfmError, match="holds a training of 3 steps; go on with --resume, or set out="):
        train(stopped)
    assert same_weights(train(stopped, resume=True), whole)


def test_signals_are_as_they_were_after_a_training(config):
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    train(config)
    with pytest.raises(DcfmError, match="holds a training of"):
        train(config)
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_a_training_may_run_in_any_thread(config):
    with ThreadPoolExecutor(1) as other:
        assert other.submit(train, config).result().is_file()


COMMAND = "import sys; from dcfm_ros.cli import main; sys.exit(main())"


def command(*words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", COMMAND, "train", *words],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_killed_training_goes_on_as_if_nothing_had_happened(long, tmp_path):
    """As the command runs it, with a process that prepares samples."""
    config = replace(long, workers=1)
    whole, out = train(config), tmp_path / "killed"
    file = tmp_path / "town.yaml"
    file.write_text(yaml.safe_dump(to_plain(asdict(replace(config, out=str(out))))))

    first = command(str(file))
    while not (out / "state.pt").is_file() and first.poll() is None:
        time.sleep(0.005)
    first.kill()
    _, errors = first.communicate()
    assert first.returncode == -signal.SIGKILL, errors
    assert 1 <= state_of(out)["step"] < 12 and not (out / "last.safetensors").exists()

    second = command(str(file), "--resume")
    output, errors = second.communicate()
    assert second.returncode == 0, errors
    assert output.splitlines()[-1] == f"weights: {out / 'last.safetensors'}"
    assert same_weights(out / "last.safetensors", whole)


def test_resuming_what_is_not_there_or_damaged(config):
    with pytest.raises(DcfmError, match="nothing to resume: .*state.pt' does not exist; leave out --resume"):
        train(config, resume=True)
    train(config)
    path = Path(config.out) / "state.pt"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(DcfmError, match=r"state.pt' cannot be resumed with this configuration: "):
        train(replace(config, steps=4), resume=True)


def test_resuming_with_another_model_is_refused(config):
    train(config)
    other = replace(config, model=ModelConfig(deep_channels=64))
    with pytest.raises(DcfmError, match="cannot be resumed with this configuration"):
        train(other, resume=True)


# -- when it goes wrong ----------------------------------------------------------------------------------------


def test_a_loss_that_is_no_number_ends_the_training_and_keeps_the_last_good_state(long, monkeypatch):
    whole = train(long)
    calls = iter(range(1, 13))

    def spoilt(*arguments):
        losses = symmetric_losses(*arguments)
        return replace(losses, total=losses.total * (math.nan if next(calls) == 5 else 1.0))

    broken = replace(long, out=long.out + "_broken", save_every=2)
    with monkeypatch.context() as patch:
        patch.setattr("dcfm_lab.learn.learner.symmetric_losses", spoilt)
        with pytest.raises(
            DcfmError, match="the loss of step 5 is nan; go on from step 4 with --resume, with a"
        ):
            train(broken)
    assert not (Path(broken.out) / "last.safetensors").exists()
    assert same_weights(train(broken, resume=True), whole)


def test_weights_that_explode_end_the_command_with_an_error(config, tmp_path, capsys):
    plain = OptimConfig(name="sgd", lr=1e30, backbone_lr_ratio=1.0, warmup_steps=0)
    file = tmp_path / "town.yaml"
    file.write_text(yaml.safe_dump(to_plain(asdict(replace(config, steps=9, optim=plain)))))
    assert main(["train", str(file)]) != 0
    assert "of step 2 is nan; begin again with a lower optim.lr" in capsys.readouterr().err
    assert not (Path(config.out) / "state.pt").exists()


def test_a_gradient_that_is_no_number_never_reaches_the_weights(config, monkeypatch):
    def infinite(*arguments):
        losses = symmetric_losses(*arguments)
        return replace(losses, total=losses.total + torch.sqrt(losses.total * 0))

    monkeypatch.setattr("dcfm_lab.learn.learner.symmetric_losses", infinite)
    with pytest.raises(DcfmError, match="the gradient of step 1 is nan; begin again"):
        train(config)


def test_a_batch_of_one_without_neighbours_is_too_small_for_batch_norm(config):
    alone = replace(config, batch=1, loss=LossConfig(reused=0, consistency=0), model=ModelConfig("resnet18"))
    with pytest.raises(DcfmError, match="a batch of 1 in each process, without neighbours, is too small"):
        train(alone)
    train(replace(alone, freeze_norm=True, out=alone.out + "_frozen"))


# -- what it says ----------------------------------------------------------------------------------------------


def test_log_pictures_and_measures(config, capsys):
    config = replace(config, val=(replace(config.train[0]),), log_every=1, picture_every=2, tensorboard=True)
    train(config)
    out = Path(config.out)
    lines = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    steps = [line for line in lines if line["kind"] == "train"]
    assert [line["step"] for line in steps] == [1, 2]
    for line in steps:
        total = line["own"] + 0.4 * line["reused"] + 10 * line["consistency"]
        assert line["total"] == pytest.approx(total, rel=1e-4) and math.isfinite(total)
    (measured,) = [line for line in lines if line["kind"] == "camvid_train"]
    assert measured["step"] == 2 and 0 <= measured["mIoU"] <= 1 and "sky" in measured
    # Two pairs: frame, neighbour, truth and two masks side by side.
    assert cv2.imread(str(out / "pictures" / "0000002.png")).shape == (2 * 48, 5 * 64, 3)
    assert "step 2/2  total" in capsys.readouterr().out
    if pytest.importorskip("tensorboard"):
        assert list((out / "tensorboard").glob("events.*"))


def test_wrong_settings_are_told_before_any_work(config, monkeypatch):
    if not torch.cuda.is_available():
        with pytest.raises(DcfmError, match="device is 'cuda', but PyTorch sees no GPU; set device=cpu"):
            train(replace(config, device="cuda"))
    monkeypatch.setenv("WORLD_SIZE", "3")
    with pytest.raises(DcfmError, match="a batch of 2 cannot be split evenly over 3 processes"):
        train(config)


def test_rare_classes_weigh_more(config):
    dataset = open_source(config, config.train[0])
    assert class_weight(dataset, LossConfig()) is None
    weight = class_weight(dataset, LossConfig(class_weight_power=0.5, class_weight_limit=4.0))
    # The four classes of the town are about equally large; the others were never met.
    met = [weight[i].item() for i in (0, 1, 3, 5)]
    assert all(0.7 < value < 2 for value in met) and sorted(weight.tolist())[-7:] == [4.0] * 7
    counts = sum(
        np.bincount(dataset[i].label.ravel(), minlength=11)[[0, 1, 3, 5]] for i in range(len(dataset))
    )
    assert np.array_equal(np.argsort(met), np.argsort(-counts))


# -- it learns -------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_four_frames_are_learnt_by_heart(config):
    """95 % mIoU after seconds: everything between the images and the weights file works together."""
    still = AugmentConfig(
        crop=(96, 72), scale=(1.0, 1.0), flip=0, brightness=0, contrast=0, saturation=0, hue=0
    )
    config = replace(
        config,
        steps=60,
        batch=4,
        augment=still,
        ema_decay=0.0,
        optim=OptimConfig(lr=0.01, backbone_lr_ratio=1.0, warmup_steps=5, weight_decay=0, clip_norm=5),
    )
    model = load_model(train(config))
    measured = validate(model, open_source(config, config.train[0]))
    assert measured["mIoU"] >= 0.95
