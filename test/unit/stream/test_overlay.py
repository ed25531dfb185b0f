"""The overlay tints what the mask says, names what is in view and leaves the rest alone."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from dcfm_ros.model.config import ModelCard
from dcfm_ros.stream.overlay import OUTLINE_ALPHA, draw_overlay

CARD = ModelCard()
ROAD, CAR = CARD.classes.index("road"), CARD.classes.index("car")


def grey(width: int = 480, height: int = 360) -> np.ndarray:
    return np.full((height, width, 3), 100, np.uint8)


def test_tint_is_the_weighted_mean_of_picture_and_class_colour() -> None:
    out = draw_overlay(grey(), np.full((360, 480), ROAD, np.uint8), CARD, alpha=0.25, legend=False)
    np.testing.assert_allclose(out[180, 240], 0.75 * 100 + 0.25 * np.array(CARD.colors[ROAD]), atol=1)


def test_unlabelled_and_unknown_ids_are_left_as_they_are() -> None:
    mask = np.full((360, 480), ROAD, np.uint8)
    mask[:100], mask[-100:] = 255, len(CARD.classes)
    out = draw_overlay(grey(), mask, CARD, legend=False)
    assert (out[:99] == 100).all() and (out[-99:] == 100).all() and (out[180] != 100).any()


def test_mask_of_another_size_is_stretched() -> None:
    mask = np.full((90, 120), ROAD, np.uint8)
    mask[:, 60:] = CAR
    out = draw_overlay(grey(), mask, CARD, alpha=1.0, legend=False)
    assert tuple(out[180, 100]) == CARD.colors[ROAD] and tuple(out[180, 400]) == CARD.colors[CAR]


def test_alpha_zero_is_the_picture_in_a_new_array() -> None:
    rgb = grey()
    mask = np.random.default_rng(0).integers(0, 11, (360, 480), np.uint8)
    out = draw_overlay(rgb, mask, CARD, alpha=0.0, legend=False)
    np.testing.assert_array_equal(out, rgb)
    assert not np.shares_memory(out, rgb)


def test_legend_shows_the_colours_of_the_classes_in_view_only() -> None:
    mask = np.full((360, 480), ROAD, np.uint8)
    mask[:, :200] = CAR
    plain = draw_overlay(grey(), mask, CARD, legend=False)
    out = draw_overlay(grey(), mask, CARD)
    changed = (out != plain).any(axis=(1, 2))
    top = int(np.argmax(changed))
    assert changed[top:].all() and 0.85 * 360 < top < 350, "one strip along the lower edge"
    colours = {tuple(pixel) for pixel in out[top:].reshape(-1, 3)}
    assert {CARD.colors[ROAD], CARD.colors[CAR]} <= colours
    assert not {CARD.colors[i] for i in range(11) if i not in (ROAD, CAR)} & colours


@pytest.mark.parametrize("size", [(1, 1), (31, 17), (480, 360), (1280, 720), (3840, 2160)])
@pytest.mark.parametrize("count", [1, 124])
def test_any_size_and_number_of_classes(size: tuple[int, int], count: int) -> None:
    card = ModelCard(
        classes=tuple(f"a long class name {i}" for i in range(count)), colors=((9, 200, 30),) * count
    )
    mask = np.arange(size[0] * size[1], dtype=np.uint8).reshape(size[1], size[0])
    assert draw_overlay(grey(*size), mask, card).shape == (size[1], size[0], 3)


def test_read_only_and_padded_pictures() -> None:
    rgb = np.zeros((36, 60, 3), np.uint8)[:, :48]
    rgb.flags.writeable = False
    assert draw_overlay(rgb, np.zeros((36, 48), np.uint8), CARD).shape == (36, 48, 3)


def test_it_draws_into_the_memory_it_is_given() -> None:
    mask = np.random.default_rng(0).integers(0, 11, (360, 480), np.uint8)
    mask[:9] = 255
    memory = np.full((360, 480, 3), 7, np.uint8)
    assert draw_overlay(grey(), mask, CARD, out=memory) is memory
    np.testing.assert_array_equal(memory, draw_overlay(grey(), mask, CARD))
    padded = np.full((360, 500, 3), 7, np.uint8)
    draw_overlay(grey(), mask, CARD, out=padded[:, :480])
    np.testing.assert_array_equal(padded[:, :480], memory)
    assert (padded[:, 480:] == 7).all()


@pytest.mark.parametrize("size", [(1, 1), (2, 5), (63, 4), (64, 3), (200, 9), (129, 720)])
@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
def test_the_compiled_loops_tint_as_plain_arithmetic_does(size: tuple[int, int], alpha: float) -> None:
    random = np.random.default_rng(0)
    rgb = random.integers(0, 256, (size[1], size[0], 3), np.uint8)
    mask = np.repeat(random.integers(0, 13, (size[1], -(-size[0] // 5)), np.uint8), 5, axis=1)[:, : size[0]]
    mask[random.random(mask.shape) < 0.02] = 255
    side = 2 if size[1] < 700 else 3
    border = cv2.morphologyEx(mask, cv2.MORPH_GRADIENT, np.ones((side, side), np.uint8)) > 0
    strength = np.where(border & (alpha > 0), OUTLINE_ALPHA, alpha) * (mask < len(CARD.colors))
    color = np.array([*CARD.colors, *[(0, 0, 0)] * (256 - len(CARD.colors))])[mask]
    expected = rgb * (1 - strength[..., None]) + color * strength[..., None]
    assert np.abs(draw_overlay(rgb, mask, CARD, alpha, legend=False) - expected).max() <= 1
