"""Interleaved runs: everybody runs in every round, and each in turn is the first."""

import pytest

from dcfm_lab.measure.rounds import MAX_REPEATS, SLOT_MS, WARM_UP, interleave, totals


class Contestant:
    """Says that it took so long, and writes down that it ran."""

    def __init__(self, name, log, milliseconds):
        self.name, self.log, self.milliseconds = name, log, milliseconds

    def __call__(self, number):
        self.log.append((self.name, number))
        return {"network": self.milliseconds - 1, "total": self.milliseconds}


@pytest.fixture
def log():
    return []


def run(log, *, slow=2 * SLOT_MS, fast=2 * SLOT_MS, **settings):
    contestants = {"a": Contestant("a", log, slow), "b": Contestant("b", log, fast)}
    return interleave(contestants, **{"seconds": 0.0, "min_rounds": 4, "max_rounds": 10, **settings})


def test_each_in_turn_is_the_first_and_warm_up_does_not_count(log):
    results = run(log)
    assert [len(results[name]) for name in "ab"] == [4, 4]
    measured = log[2 * WARM_UP :]
    assert [name for name, _ in measured] == ["a", "b", "b", "a", "a", "b", "b", "a"]
    assert [number for _, number in measured] == [0, 0, 1, 1, 2, 2, 3, 3]


def test_the_fast_run_as_often_as_fits_their_slot(log):
    run(log, fast=SLOT_MS / 3, min_rounds=1, max_rounds=1)
    assert [name for name, _ in log[2 * WARM_UP :]] == ["a", "b", "b", "b"]
    log.clear()
    run(log, fast=SLOT_MS / 1000, min_rounds=1, max_rounds=1)
    assert len(log) - 2 * WARM_UP == 1 + MAX_REPEATS


def test_of_several_runs_in_a_round_the_median_counts():
    taken = iter([SLOT_MS / 3] * WARM_UP + [5.0, 100.0, 6.0])
    results = interleave({"a": lambda number: {"total": next(taken)}}, seconds=0, min_rounds=1, max_rounds=1)
    assert totals(results["a"]) == [6.0]


def test_it_ends_at_the_most_rounds_whatever_time_is_left(log):
    assert len(run(log, seconds=1000.0)["a"]) == 10


def test_progress_rises_to_no_more_than_one(log):
    shares = []
    run(log, progress=shares.append)
    assert shares == sorted(shares) and shares[0] >= 0 and shares[-1] <= 1
