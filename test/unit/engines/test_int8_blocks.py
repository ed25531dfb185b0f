"""Blocks stay out of int8 only as far as labels ask for it, and those first that lose most for what they save."""

from hypothesis import given
from hypothesis import strategies as st

from dcfm_ros.engines.graph.quantise import ALLOWED_COST, ENOUGH, choose_blocks

WORK = {"embed": 1.0, "stages.1": 40.0, "stages.2": 50.0, "head": 10.0}


def agreement_of(costs, without=1.0, asked=None):
    """Labels kept, where what blocks cost adds up."""

    def agreement(blocks):
        if asked is not None:
            asked.append(frozenset(blocks))
        return without - sum(costs.get(block, 0.0) for block in blocks)

    return agreement


def test_all_of_them_where_labels_are_kept():
    asked = []
    assert choose_blocks(WORK, agreement_of({"head": 0.004}, asked=asked)) == set(WORK)
    assert asked == [frozenset(WORK)], "each question takes minutes"


def test_the_worst_one_is_left_out():
    costs = {"embed": 0.016, "stages.1": 0.001, "head": 0.002}
    assert choose_blocks(WORK, agreement_of(costs)) == set(WORK) - {"embed"}


def test_what_costs_as_much_but_saves_less_is_left_out_first():
    costs = {"stages.2": 0.006, "head": 0.006}
    assert choose_blocks(WORK, agreement_of(costs)) == set(WORK) - {"head"}


def test_labels_that_bf16_loses_are_not_laid_on_int8():
    without = ENOUGH - 0.01
    assert choose_blocks(WORK, agreement_of({"head": ALLOWED_COST / 2}, without)) == set(WORK)
    assert choose_blocks(WORK, agreement_of({"head": 2 * ALLOWED_COST}, without)) == set(WORK) - {"head"}


def test_blocks_that_cost_more_together_than_one_by_one():
    def agreement(blocks):
        return 1 - 0.02 * ({"stages.1", "head"} <= set(blocks))

    assert not {"stages.1", "head"} <= choose_blocks(WORK, agreement)


shares = st.floats(0, 1)


@given(
    st.dictionaries(st.sampled_from("abcdefgh"), st.tuples(shares, st.floats(0.1, 100))), st.floats(0.9, 1)
)
def test_what_is_chosen_keeps_the_labels(blocks, without):
    costs = {block: cost / 50 for block, (cost, _) in blocks.items()}
    work = {block: count for block, (_, count) in blocks.items()}
    agreement = agreement_of(costs, without)
    chosen = choose_blocks(work, agreement)
    enough = min(ENOUGH, without - ALLOWED_COST)
    assert agreement(chosen) >= enough
    left = set(work) - chosen
    if left:
        best = min(left, key=lambda block: costs[block] / work[block])
        assert agreement(chosen | {best}) < ENOUGH


def test_no_blocks_at_all():
    assert choose_blocks({}, agreement_of({})) == set()
