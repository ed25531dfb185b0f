"""Features moved along a displacement: against torch's grid_sample, and through every engine."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from dcfm_ros.engines.config import EngineConfig
from dcfm_ros.engines.factory import create_engine
from dcfm_ros.engines.warp import displacement_on_grid, warp_array, warp_tensor
from dcfm_ros.model.config import ModelCard, ModelConfig
from dcfm_ros.model.dcfm import build_model

SIZE = (192, 128)
STRIDE = 4
SHIFT = (8, -4)  # of the picture, in pixels of the features: whole steps of its layers of stride 16, too


def grid_sampled(feature, displacement):
    """The same by torch in double precision: float64 h×w×C."""
    height, width = feature.shape[:2]
    y, x = np.mgrid[:height, :width]
    places = (2 * (np.stack((x, y), -1) + displacement.astype(float)) + 1) / (width, height) - 1
    moved = F.grid_sample(
        torch.from_numpy(feature.astype(float)).permute(2, 0, 1)[None],
        torch.from_numpy(places)[None],
        padding_mode="border",
        align_corners=False,
    )
    return moved[0].permute(1, 2, 0).numpy()


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 23), st.integers(1, 31), st.integers(1, 9), st.floats(0, 40), st.integers(0, 2**32 - 1))
def test_the_kernel_samples_as_torch_does(height, width, channels, far, seed):
    rng = np.random.default_rng(seed)
    feature = rng.uniform(-1, 1, (height, width, channels)).astype(np.float32)
    displacement = (far * rng.standard_normal((height, width, 2))).astype(np.float32)
    expected = grid_sampled(feature, displacement)
    assert warp_array(feature, displacement) == pytest.approx(expected, abs=1e-5)
    as_map = torch.from_numpy(feature).permute(2, 0, 1)[None]
    tensor = warp_tensor(as_map, torch.from_numpy(displacement))[0].permute(1, 2, 0).numpy()
    assert tensor == pytest.approx(expected, abs=1e-3)  # its places are float32 shares of the side


def test_no_displacement_changes_nothing():
    feature = np.random.default_rng(0).random((7, 5, 3), np.float32)
    assert (warp_array(feature, np.zeros((7, 5, 2), np.float32)) == feature).all()


def test_a_displacement_fits_any_grid():
    everywhere = np.full((4, 6, 2), (0.25, -0.5), np.float32)
    on_grid = displacement_on_grid(everywhere, (16, 10))
    assert on_grid.shape == (10, 16, 2)
    assert on_grid == pytest.approx(np.broadcast_to(np.float32([4, -5]), (10, 16, 2)))


def model():
    torch.manual_seed(3)
    card = ModelCard(input_size=SIZE, classes=("a", "b", "c"), colors=((0, 0, 0), (9, 9, 9), (99, 9, 9)))
    return build_model(ModelConfig(backbone="mobilenetv2", num_classes=3), card).eval()


@pytest.mark.parametrize("name", ["torch", "onnxruntime", "openvino"])
def test_a_moved_picture_has_moved_logits(name):
    """The key frame's common feature, moved along the true displacement, beside the moved picture's own feature."""
    pytest.importorskip(name)
    engine = create_engine(model(), EngineConfig(engine=name, precision="fp32"))
    dx, dy = SHIFT
    wide = np.random.default_rng(1).integers(0, 256, (SIZE[1] + 64, SIZE[0] + 64, 3), np.uint8)
    key = np.ascontiguousarray(wide[32 : 32 + SIZE[1], 32 : 32 + SIZE[0]])
    top, left = 32 - STRIDE * dy, 32 - STRIDE * dx
    now = np.ascontiguousarray(wide[top : top + SIZE[1], left : left + SIZE[0]])
    key_independent, now_independent = engine.independent(key), engine.independent(now)
    common = engine.common(key_independent)
    grid = SIZE[0] // STRIDE, SIZE[1] // STRIDE
    back = np.full((grid[1], grid[0], 2), (-dx / grid[0], -dy / grid[1]), np.float32)
    moved = engine.align(common, back)
    before, _ = engine.label_map(engine.logits(common, key_independent), grid)
    after, _ = engine.label_map(engine.logits(moved, now_independent), grid)
    inside = slice(12, -12)
    expected = np.roll(before, (dy, dx), (0, 1))[inside, inside]
    assert len(np.unique(expected)) > 1
    assert np.mean(after[inside, inside] == expected) > 0.995
    assert np.mean(before[inside, inside] == expected) < 0.95  # not moved it would be seen


@pytest.mark.parametrize("name", ["torch", "onnxruntime", "openvino"])
def test_logits_move_as_their_mask_does(name):
    pytest.importorskip(name)
    engine = create_engine(model(), EngineConfig(engine=name, precision="fp32"))
    rgb = np.random.default_rng(4).integers(0, 256, (SIZE[1], SIZE[0], 3), np.uint8)
    independent = engine.independent(rgb)
    logits = engine.logits(engine.common(independent), independent)
    grid, (dx, dy) = (SIZE[0] // STRIDE, SIZE[1] // STRIDE), SHIFT
    back = np.full((5, 7, 2), (-dx / grid[0], -dy / grid[1]), np.float32)
    before, _ = engine.label_map(logits, grid)
    after, sure = engine.label_map(engine.move(logits, back), grid, confidence=True)
    inside = slice(12, -12)
    assert len(np.unique(before)) > 1 and sure is not None
    assert (after[inside, inside] == np.roll(before, (dy, dx), (0, 1))[inside, inside]).all()
    assert (engine.label_map(logits, grid)[0] == before).all()  # what was moved stays as it is


@pytest.mark.parametrize("name", ["onnxruntime", "openvino"])
def test_engines_align_alike(name):
    pytest.importorskip(name)
    rng = np.random.default_rng(2)
    rgb = rng.integers(0, 256, (SIZE[1], SIZE[0], 3), np.uint8)
    field = (0.05 * rng.standard_normal((11, 13, 2))).astype(np.float32)
    masks = []
    for engine_name in ("torch", name):
        engine = create_engine(model(), EngineConfig(engine=engine_name, precision="fp32"))
        independent = engine.independent(rgb)
        aligned = engine.align(engine.common(independent), field)
        masks.append(engine.label_map(engine.logits(aligned, independent), SIZE)[0])
    assert np.mean(masks[0] == masks[1]) > 0.999
