"""Label maps are those of torch's interpolate and arg-max, at any size, for any logits."""

import sys

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from dcfm_ros.arrays import UNLABELLED
from dcfm_ros.engines.label_map import label_map as ways
from dcfm_ros.engines.label_map.bilinear import taps
from dcfm_ros.engines.label_map.label_map import label_map, label_tiles

KINDS = ("random", "smooth", "constant", "tied", "large")


def upsampled(logits, size):
    """float64, so that its own rounding decides nothing."""
    return F.interpolate(logits[None].double(), (size[1], size[0]), mode="bilinear", align_corners=False)[0]


def logits_of(kind, classes, height, width, seed):
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(classes, height, width, generator=generator)
    if kind == "smooth":
        coarse = torch.randn(1, classes, 3, 3, generator=generator)
        return F.interpolate(coarse, (height, width), mode="bicubic")[0].contiguous()
    if kind == "constant":
        return noise[:, :1, :1].expand(classes, height, width).contiguous()
    if kind == "tied":
        return noise.round()
    return noise * (1e4 if kind == "large" else 1)


def assert_labels(mask, logits, size):
    """Every pixel has the first of the largest classes, or one that rounding cannot tell from it."""
    full = upsampled(logits, size)
    best, winner = full.max(0)
    labels = torch.from_numpy(mask.astype(np.int64))
    assert labels.shape == winner.shape and labels.max() < len(logits)
    chosen = full.gather(0, labels[None])[0]
    assert bool((best - chosen <= 1e-6 * logits.abs().max()).all())
    second = full.scatter(0, winner[None], -torch.inf).max(0).values if len(logits) > 1 else best - 1
    clear = best - second > 1e-6 * logits.abs().max()
    assert torch.equal(labels[clear], winner[clear])


shapes = st.tuples(st.integers(1, 12), st.integers(1, 12), st.integers(1, 70), st.integers(1, 70))


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(KINDS), st.sampled_from((1, 2, 3, 11, 19, 124, 255)), shapes, st.integers(0, 999))
def test_the_kernel_labels_any_logits_at_any_size(kind, classes, shape, seed):
    height, width, out_height, out_width = shape
    logits = logits_of(kind, classes, height, width, seed)
    mask, none = label_map(logits, (out_width, out_height))
    assert none is None and mask.dtype == np.uint8 and mask.flags["C_CONTIGUOUS"]
    assert_labels(mask, logits, (out_width, out_height))


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(KINDS), st.sampled_from((1, 3, 255)), shapes, st.integers(0, 999))
def test_so_does_torch_in_tiles(kind, classes, shape, seed):
    height, width, out_height, out_width = shape
    logits = logits_of(kind, classes, height, width, seed)
    assert_labels(label_tiles(logits, (out_width, out_height))[0].numpy(), logits, (out_width, out_height))


@settings(max_examples=60, deadline=None)
@given(st.sampled_from((1, 2, 19, 124)), shapes, st.integers(0, 999), st.sampled_from((0.5, 3.0, 20.0)))
def test_the_confidence_is_the_winners_softmax(classes, shape, seed, spread):
    height, width, out_height, out_width = shape
    logits = spread * logits_of("random", classes, height, width, seed)
    size = (out_width, out_height)
    expected = 255 * upsampled(logits, size).softmax(0).max(0).values.numpy()
    for share in (
        label_map(logits, size, confidence=True)[1],
        label_tiles(logits, size, confidence=True)[1].numpy(),
    ):
        assert share.dtype == np.uint8
        assert np.abs(share - expected).max() < 1.0


@pytest.mark.parametrize("spread", [1.0, 4.0, 20.0])
def test_the_confidence_of_a_wide_picture(spread):
    """Wider than what the kernel looks at together; with sure cells, mixed ones, and such as change from sure to sure."""
    logits = spread * logits_of("smooth", 19, 16, 40, 0)
    logits[3, :, 30:] -= 2 * spread
    logits[7, 5:9, 30:] += 12
    size = (2100, 50)
    mask, share = label_map(logits, size, confidence=True)
    assert np.array_equal(mask, label_map(logits, size)[0])
    expected = 255 * upsampled(logits, size).softmax(0).max(0).values.numpy()
    assert np.abs(share - expected).max() < 0.6


@pytest.mark.parametrize("way", ["kernel", "tiles"])
@settings(max_examples=40, deadline=None)
@given(
    shape=shapes, seed=st.integers(0, 999), poison=st.sampled_from((np.nan, np.inf, -np.inf)), data=st.data()
)
def test_where_logits_are_not_finite_pixels_are_unlabelled(way, shape, seed, poison, data):
    height, width, out_height, out_width = shape
    logits = logits_of("random", 5, height, width, seed)
    row, column = data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))
    logits[data.draw(st.integers(0, 4)), row, column] = poison
    size = (out_width, out_height)
    if way == "kernel":
        mask, share = label_map(logits, size, confidence=True)
    else:
        mask, share = (part.numpy() for part in label_tiles(logits, size, confidence=True))
    counts, reads = zip(reading(row, height, out_height), reading(column, width, out_width))
    unlabelled = mask == UNLABELLED
    assert unlabelled[np.outer(*counts)].all()
    assert not unlabelled[~np.outer(*reads)].any()
    assert (share[unlabelled] == 0).all()


def reading(place, inputs, outputs):
    """Which outputs of an axis count the input at `place`, and which read it at all, be it with weight 0."""
    first, weight, _ = taps(inputs, outputs)
    second = np.minimum(first + 1, inputs - 1)
    first_counts, second_counts = (first == place) & (weight < 1), (second == place) & (weight > 0)
    return first_counts | second_counts, (first == place) | (second == place)


def test_all_pixels_of_equal_classes_get_the_first():
    mask, share = label_map(torch.full((7, 5, 6), 0.3), (31, 17), confidence=True)
    assert (mask == 0).all() and (share == round(255 / 7)).all()


def test_255_classes_keep_their_ids():
    logits = torch.zeros(255, 1, 255)
    logits[torch.arange(255), 0, torch.arange(255)] = 1
    assert np.array_equal(label_map(logits, (255, 1))[0][0], np.arange(255))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_logits_of_any_float_type(dtype):
    logits = logits_of("random", 5, 8, 9, 0).to(dtype)
    assert_labels(label_map(logits, (40, 30))[0], logits.float(), (40, 30))


def test_logits_of_any_strides():
    logits = logits_of("random", 5, 8, 9, 0)
    channel_last = logits.permute(1, 2, 0).contiguous().permute(2, 0, 1)
    assert np.array_equal(label_map(channel_last, (40, 30))[0], label_map(logits, (40, 30))[0])


def test_threads_share_the_rows():
    logits = logits_of("smooth", 19, 64, 128, 0)
    masks, before = [], torch.get_num_threads()
    try:
        for threads in (1, 3):
            torch.set_num_threads(threads)
            masks.append(label_map(logits, (1280, 720), confidence=True))
    finally:
        torch.set_num_threads(before)
    assert np.array_equal(masks[0][0], masks[1][0]) and np.array_equal(masks[0][1], masks[1][1])


def test_where_triton_does_not_run_torch_makes_the_labels(caplog, monkeypatch):
    class Broken:
        @staticmethod
        def label_pixels(logits, size):
            raise RuntimeError("Failed to find C compiler\nand a trace")

    monkeypatch.setitem(sys.modules, "dcfm_ros.engines.label_map.triton_kernel", Broken)
    ways.gpu_way.cache_clear()
    try:
        found = {ways.gpu_way(torch.device("cpu")) for _ in range(2)}
    finally:
        ways.gpu_way.cache_clear()
    assert found == {label_tiles}
    assert caplog.text.count("Failed to find C compiler") == 1 and "trace" not in caplog.text


@pytest.mark.gpu
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("classes", [1, 19, 255])
def test_cuda_labels_are_the_cpus(kind, classes):
    logits = logits_of(kind, classes, 31, 47, 0)
    mask, share = label_map(logits.cuda(), (333, 211), confidence=True)
    assert_labels(mask, logits, (333, 211))
    expected = 255 * upsampled(logits, (333, 211)).softmax(0).max(0).values.numpy()
    assert np.abs(share - expected).max() < 1.0
