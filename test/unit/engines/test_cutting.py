"""Graphs cut into pieces."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dcfm_ros.engines.base import MAX_PIECES
from dcfm_ros.engines.config import EngineConfig
from dcfm_ros.engines.factory import create_engine
from dcfm_ros.engines.graph.cutting import Step, borders
from dcfm_ros.model.config import ModelConfig
from dcfm_ros.model.dcfm import build_model


def chain(costs, sizes=None):
    """Steps of which each reads the one before."""
    sizes = sizes or [0] * len(costs)
    return [
        Step(cost, {f"v{i}": size}, frozenset({f"v{i - 1}"}))
        for i, (cost, size) in enumerate(zip(costs, sizes, strict=True))
    ]


@given(st.lists(st.integers(0, 1000), max_size=60), st.integers(1, 70))
def test_pieces_are_in_order_and_no_more_than_asked_for(costs, pieces):
    begins = borders(chain(costs), pieces)
    assert begins[0] == 0 and begins[-1] == len(costs)
    assert all(a < b for a, b in zip(begins, begins[1:]))
    assert len(begins) - 1 <= pieces


@given(st.integers(1, 12), st.integers(1, 12))
def test_equal_steps_make_equal_pieces(pieces, each):
    assert borders(chain([7] * pieces * each), pieces) == list(range(0, pieces * each + 1, each))


def test_a_step_that_costs_more_than_a_piece_stays_whole():
    assert borders(chain([40, 40, 400, 40, 40]), 7) == [0, 2, 3, 5]
    assert borders(chain([1, 1, 1000, 1, 1]), 3) == [0, 5]


def test_a_cut_is_where_little_is_handed_on():
    # Even costs would cut before step 5, in the middle of a wide block.
    sizes = [10, 10, 10, 10, 1, 10, 10, 10, 10, 10]
    assert borders(chain([1000] * 10, sizes), 2) == [0, 5, 10]
    sizes[4], sizes[3] = 10, 1
    assert borders(chain([1000] * 10, sizes), 2) == [0, 4, 10]


def test_what_is_read_later_counts_until_then():
    steps = chain([1000] * 10, [10] * 10)
    # A residual from step 3 to step 5 makes cuts between them dearer.
    steps[5] = Step(1000, {"v5": 10}, frozenset({"v4", "v3"}))
    assert borders(steps, 2)[1] in (4, 6)


def test_there_is_no_cut_where_handing_on_costs_too_much():
    steps = chain([1000] * 12, [4, 4, 4, 4, 4, 90, 90, 90, 90, 4, 4, 4])
    assert borders(steps, 4) == [0, 4, 12]


def test_a_piece_begins_with_a_step_that_may():
    steps = [replace(step, begins=i % 4 == 3) for i, step in enumerate(chain([7] * 16))]
    assert borders(steps, 4) == [0, 3, 7, 11, 16]
    assert borders(steps, 16) == [0, 3, 7, 11, 15, 16]


@pytest.mark.parametrize("library", ["openvino", "onnxruntime"])
def test_the_pieces_compute_what_the_graph_does(library, frames, finish):
    """Of a transformer, whose residuals reach over many nodes."""
    pytest.importorskip(library)
    transformer = build_model(ModelConfig(backbone="mit_b0", num_classes=7))
    engine = create_engine(transformer, EngineConfig(engine=library))
    independent = engine.independent(frames[0])
    pauses, common = finish(engine.common_slices(independent, 1))  # how long a piece takes is not known yet
    assert 4 <= pauses < MAX_PIECES and not engine.problem
    np.testing.assert_allclose(common.values, engine.common(independent).values, atol=1e-4)
    for pieces in (1, 3, 16, 64):
        pauses, again = finish(engine.common_slices(independent, pieces))
        assert pauses < pieces and np.array_equal(again.values, common.values)
