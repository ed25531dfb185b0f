"""Things followed from frame to frame, back to the key frame."""

import cv2
import numpy as np
import pytest
from fake_engine import CARD, FakeEngine, workers

from dcfm_ros.errors import DcfmError
from dcfm_ros.stream.alignment import MAX_CHAINS, PATIENCE, Aligner, FlowAligner, create_aligner
from dcfm_ros.stream.config import StreamConfig
from dcfm_ros.stream.segmenter import StreamSegmenter

SIZE = (320, 240)
NOISE = np.random.default_rng(5)
BLACK = np.zeros((SIZE[1], SIZE[0], 3), np.uint8)


def texture():
    """A large picture with structure on all scales, uint8 H×W×3."""
    total = np.zeros((600, 800), np.float32)
    for size in (6, 15, 40, 100):
        coarse = np.random.default_rng(size).standard_normal((600 // size + 2, 800 // size + 2))
        total += cv2.resize(coarse.astype(np.float32), (800, 600), interpolation=cv2.INTER_CUBIC)
    scaled = 255 * (total - total.min()) / np.ptp(total)
    return np.repeat(scaled.astype(np.uint8)[..., None], 3, 2)


PICTURE = texture()


def view(x, y):
    """What a camera sees that has moved by that many pixels."""
    return np.ascontiguousarray(PICTURE[180 + y : 180 + y + SIZE[1], 240 + x : 240 + x + SIZE[0]])


def noise():
    return NOISE.integers(0, 256, (SIZE[1], SIZE[0], 3), np.uint8)


def followed(frames, begin=0):
    """An aligner that has seen the frames; the first one is key frame `begin`."""
    aligner = FlowAligner(SIZE)
    for i, picture in enumerate(frames):
        aligner.see(picture)
        if i == 0:
            aligner.begin(begin, None)
    return aligner


def in_pixels(field):
    """The displacement in the middle of the picture, where no border disturbs: x, y in pixels of the picture."""
    height, width = field.shape[:2]
    middle = field[height // 4 : -height // 4, width // 4 : -width // 4]
    return np.median(middle.reshape(-1, 2), 0) * SIZE


@pytest.mark.parametrize("step", [(3, 0), (0, -2), (4, 3)])
def test_steps_add_up(step):
    aligner = followed([view(i * step[0], i * step[1]) for i in range(8)])
    # The camera has moved one way, so what a pixel shows was further along that way in the key frame.
    assert in_pixels(aligner.displacement(0)) == pytest.approx(7 * np.array(step), abs=1.5)


def test_a_closed_loop_comes_home():
    there = [(4 * i, 2 * i) for i in range(9)]
    aligner = followed([view(*place) for place in there + there[-2::-1]])
    assert in_pixels(aligner.displacement(0)) == pytest.approx((0, 0), abs=0.75)


def test_the_key_frame_itself_is_not_moved():
    assert followed([view(0, 0)]).displacement(0) is None


@pytest.mark.parametrize("size", [(1, 1), (5, 7), (31, 2000), (2000, 9), (16384, 2)])
def test_pictures_of_any_shape_are_followed(size):
    aligner, rng = FlowAligner(size), np.random.default_rng(0)
    picture = rng.integers(0, 256, (size[1], size[0], 3), np.uint8)
    for i in range(3):
        aligner.see(picture)
        if i == 0:
            aligner.begin(0, None)
    assert aligner.motion == pytest.approx(0, abs=1e-3)
    assert in_pixels(aligner.displacement(0)) == pytest.approx((0, 0), abs=0.5)


def test_motion_is_what_alignment_leaves():
    moves = [view(6 * i, 0) for i in range(8)]
    aligned, still = followed(moves), Aligner(measures=True)
    for i, picture in enumerate(moves):
        still.see(picture)
        if i == 0:
            still.begin(0, None)
    assert aligned.motion < 0.2 < 0.6 < still.motion


def test_another_scene_is_motion():
    other = np.ascontiguousarray(PICTURE[::-1, ::-1][: SIZE[1], : SIZE[0]])
    assert followed([view(0, 0), other]).motion > 0.6


@pytest.mark.parametrize("bad", [noise(), BLACK], ids=["noise", "black"])
def test_a_frame_that_shows_nothing_is_left_out(bad):
    aligner = followed([view(0, 0), view(3, 0), bad, view(6, 0)])
    assert in_pixels(aligner.displacement(0)) == pytest.approx((6, 0), abs=1.0)


def test_a_chain_that_is_broken_moves_nothing_until_the_next_key_frame():
    aligner = followed([view(0, 0), view(3, 0), *[noise() for _ in range(PATIENCE)], view(6, 0), view(9, 0)])
    assert aligner.displacement(0) is None
    aligner.begin(7, None)
    aligner.see(view(12, 0))
    assert in_pixels(aligner.displacement(7)) == pytest.approx((3, 0), abs=1.0)


def test_noise_alone_moves_nothing():
    aligner = followed([noise() for _ in range(12)])
    assert aligner.displacement(0) is None


def test_the_chain_in_use_and_the_one_under_way():
    aligner = followed([view(0, 0), view(3, 0)])
    aligner.begin(1, None)
    aligner.see(view(6, 0))
    assert in_pixels(aligner.displacement(0)) == pytest.approx((6, 0), abs=1.0)
    assert in_pixels(aligner.displacement(1)) == pytest.approx((3, 0), abs=1.0)


def test_a_request_that_is_replaced_leaves_no_chain():
    aligner = followed([view(0, 0), view(3, 0)])
    aligner.begin(1, None)
    aligner.see(view(6, 0))
    aligner.begin(2, replaced=1)
    aligner.see(view(9, 0))
    assert aligner.displacement(0) is not None  # in use all the time
    assert in_pixels(aligner.displacement(2)) == pytest.approx((3, 0), abs=1.0)


def test_requests_that_fail_cost_no_memory_and_not_the_chain_in_use():
    aligner = followed([view(0, 0)])
    for i in range(1, 4 * MAX_CHAINS):
        aligner.see(view(i, 0))
        aligner.begin(i, None)
    aligner.see(view(4 * MAX_CHAINS, 0))
    assert in_pixels(aligner.displacement(0)) == pytest.approx((4 * MAX_CHAINS, 0), abs=1.5)


def test_none_is_the_published_method():
    aligner = create_aligner(StreamConfig(align="none"), CARD, SIZE)
    for i in range(3):
        aligner.see(view(5 * i, 0))
        if i == 0:
            aligner.begin(0, None)
        assert aligner.displacement(0) is None


@pytest.mark.parametrize(
    ("asked", "card", "kind"),
    [
        ("auto", "none", Aligner),
        ("auto", "flow", FlowAligner),
        ("flow", "none", FlowAligner),
        ("none", "flow", Aligner),
    ],
)
def test_auto_is_what_the_card_says(asked, card, kind):
    from dataclasses import replace

    aligner = create_aligner(StreamConfig(align=asked), replace(CARD, align=card), SIZE)
    assert type(aligner) is kind


class Moving(FakeEngine):
    """Notes what it aligns: (key frame's value, median displacement in pixels)."""

    def __init__(self):
        super().__init__()
        self.aligned = []

    def align(self, common, displacement):
        self.aligned.append((common, in_pixels(displacement)))
        return common


def test_a_stream_aligns_what_it_borrows():
    engine = Moving()
    config = StreamConfig(
        mode="inline", align="flow", input_size=SIZE, key_interval=3, key_period_ms=0, motion_threshold=0
    )
    with StreamSegmenter(engine, config) as stream:
        results = [stream.step(view(3 * i, 0), (1 + i) * 33_000_000) for i in range(7)]
    assert [result.key_frame for result in results] == [True, False, False, True, False, False, True]
    moved = [round(float(x) / 3) for _, (x, _) in engine.aligned]
    assert moved == [1, 2, 1, 2]
    assert all(result.timing.align > 0 for result in results)


def test_a_reset_forgets_the_chains():
    engine = Moving()
    config = StreamConfig(mode="inline", align="flow", input_size=SIZE, key_period_ms=0, motion_threshold=0)
    with StreamSegmenter(engine, config) as stream:
        stream.step(view(0, 0), 2_000_000_000)
        stream.step(view(3, 0), 2_033_000_000)
        stream.step(view(90, 60), 1_000_000_000)  # a bag that begins again
        stream.step(view(93, 60), 1_033_000_000)
    assert [round(float(x) / 3) for _, (x, _) in engine.aligned] == [1, 1]


def test_the_marked_frame_is_led_back_to():
    aligner = followed([view(0, 0), view(3, 0)])
    assert aligner.since_mark() is None
    aligner.mark()
    assert aligner.since_mark() is None  # it is the marked one itself
    aligner.see(view(6, 0))
    aligner.see(view(9, 0))
    assert in_pixels(aligner.since_mark()) == pytest.approx((6, 0), abs=1.0)
    assert in_pixels(aligner.displacement(0)) == pytest.approx((9, 0), abs=1.0)


@pytest.mark.parametrize("bad", [noise(), BLACK], ids=["noise", "black"])
def test_nothing_leads_back_from_a_frame_whose_flow_is_not_trusted(bad):
    aligner = followed([view(0, 0), view(3, 0)])
    aligner.mark()
    aligner.see(bad)
    assert aligner.since_mark() is None
    aligner.mark()  # it leads nowhere, since the next step begins at the frame before it
    aligner.see(view(6, 0))
    assert aligner.since_mark() is None


class Counting(Moving):
    """Notes from which frame which one's logits were moved."""

    def __init__(self):
        super().__init__()
        self.moves, self.own = [], 0

    def independent(self, rgb):
        self.own += 1
        return super().independent(rgb)

    def move(self, logits, displacement):
        self.moves.append(round(float(in_pixels(displacement)[0]) / 3))
        return logits


def between(interval, frames, **settings):
    engine = Counting()
    config = StreamConfig(
        mode="inline",
        align="flow",
        input_size=SIZE,
        key_period_ms=0,
        motion_threshold=0,
        independent_interval=interval,
        **settings,
    )
    with StreamSegmenter(engine, config) as stream:
        results = [stream.step(picture, (1 + i) * 33_000_000) for i, picture in enumerate(frames)]
    return engine, results


def test_masks_move_between_independent_features():
    engine, results = between(3, [view(3 * i, 0) for i in range(8)], key_interval=4)
    assert [result.key_frame for result in results] == [True, False, False, False] * 2
    assert [result.moved for result in results] == [False, True, True, False, False, True, True, False]
    assert engine.moves == [1, 2, 1, 2] and engine.own == 4
    for result in results:
        spent = result.timing
        assert (spent.independent == 0 and spent.fuse == 0) == result.moved and spent.label_map > 0
    assert [result.age_frames for result in results] == [0, 1, 2, 3] * 2


def test_every_frame_has_its_own_by_default():
    engine, results = between(1, [view(3 * i, 0) for i in range(4)])
    assert engine.own == 4 and not engine.moves and not any(result.moved for result in results)


def test_frames_that_no_flow_explains_have_their_own():
    """Noise and black frames cost what they cost without moving."""
    _, results = between(4, [view(0, 0), view(3, 0), noise(), BLACK, view(6, 0), view(9, 0)])
    assert [result.moved for result in results] == [False, True, False, False, False, True]


@pytest.mark.parametrize("align", ["none", "auto"])  # auto: the card says none
def test_masks_that_nothing_moves_are_refused(align):
    with pytest.raises(DcfmError, match=r"independent_interval is 2.* set align: flow"):
        StreamSegmenter(FakeEngine(), StreamConfig(align=align, independent_interval=2))
    assert not workers()
