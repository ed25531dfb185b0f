"""The soak's parts that need no ROS: its faults come from the seed, its books balance, growth is found, the page is true."""

import itertools
import math
import sys
from dataclasses import replace

import pytest
import soak
import soak_page
import soak_result
from soak_book import Book, Counts
from soak_process import time_is_up
from soak_result import LIMITS, Sample, Soak, growths
from soak_schedule import FAULTS, KILL, schedule

from dcfm_lab.measure.result_file import load_result


def events(seed, number=100, seconds=1200):
    return list(itertools.islice(schedule(seed, seconds), number))


def test_a_seed_makes_the_same_faults_and_another_one_others():
    assert events(5) == events(5) != events(6)


def test_every_fault_comes_once_before_any_comes_again_and_kills_are_among_the_first():
    kinds = [event.kind for event in events(3, 3 * len(FAULTS) + 3)]
    first, rest = kinds[: len(FAULTS) + 3], kinds[len(FAULTS) + 3 :]
    assert sorted(first) == sorted([*FAULTS, KILL, KILL, KILL])
    assert sorted(rest[: len(FAULTS)]) == sorted(rest[len(FAULTS) :]) == sorted(FAULTS)


def test_a_run_of_a_minute_has_no_time_to_start_the_node_anew():
    assert KILL not in [event.kind for event in events(3, seconds=60)]


@pytest.fixture
def book():
    book = Book(itertools.count().__next__)
    book.is_back()
    return book


def test_a_frame_without_a_mask_is_explained_by_the_diagnostics_or_a_problem(book):
    for stamp in range(3):
        book.sent(("camera", stamp), "none")
    book.mask_came(("camera", 1))
    book.counts = Counts(received=3, dropped=1)
    book.settle()
    tally = book.of("none")
    assert (tally.usable_frames, tally.masks, tally.dropped, tally.unexplained) == (3, 1, 1, 1)
    (problem,) = book.problems
    assert "lost without a reason" in problem


def test_nobody_expects_masks_of_frames_sent_while_the_node_is_away_or_just_before(book):
    book.sent(("camera", 1), "none")
    book.goes_away()
    book.sent(("camera", 2), "killed")
    book.settle()
    assert (book.of("none").nobody_there, book.of("killed").nobody_there, book.problems) == (1, 1, [])


def test_equal_stamps_take_as_many_masks_as_frames(book):
    for _ in range(2):
        book.sent(("camera", 1), "stamps stand still")
    for _ in range(3):
        book.mask_came(("camera", 1))
    assert book.of("stamps stand still").masks == 2
    (problem,) = book.problems
    assert "second time" in problem


def test_a_mask_of_a_bad_frame_and_a_good_frame_that_failed_are_problems(book):
    book.sent_bad(("camera", 1), "damaged picture")
    book.mask_came(("camera", 1))
    book.counts = Counts(received=2, failed=2, reason="no room")
    book.settle()
    assert "cannot be used got a mask" in book.problems[0]
    assert "2 failed frames of 1 bad ones: no room" in book.problems[1]


def samples(memory, life=1, count=100):
    return [Sample(life, 10.0 * i, memory(i), 20, 15) for i in range(count)]


@pytest.mark.parametrize(
    "memory, grows",
    [
        (lambda i: 500.0 + 100 * min(i, 40) / 40, False),  # warms up
        (lambda i: 500.0 + 80 * (i % 7 == 0), False),  # comes and goes
        (lambda i: 500.0 + i + 50 * math.sin(i), True),
        (lambda i: 500.0 - i, False),
    ],
)
def test_only_steady_growth_counts(memory, grows):
    found = {
        growth.what: growth
        for growth in growths([*samples(lambda i: 100.0 * i, life=0, count=30), *samples(memory)])
    }
    assert set(found) == set(LIMITS)
    assert found["memory"].too_much == grows
    assert not found["threads"].too_much and found["threads"].growth == 0


def test_the_growth_is_that_of_the_second_half():
    memory = growths(samples(lambda i: 500.0 + i))[0]
    assert (memory.begin, memory.growth, memory.seconds) == pytest.approx((550, 49, 490))


def test_of_few_samples_nothing_is_said():
    assert growths(samples(lambda i: 100.0 * i, count=30)) == growths([]) == ()


def test_the_committed_page_is_that_of_the_committed_run():
    result = load_result(Soak, soak.RESULTS, soak_result.FORMAT, soak.COMMAND)
    text = soak_page.PAGE.read_text(encoding="utf-8")
    assert soak_page.render(result, text) == text, "make it anew: python bench/soak.py --page"


def test_a_run_that_failed_is_told_with_its_reasons(monkeypatch, capsys, tmp_path):
    result = load_result(Soak, soak.RESULTS, soak_result.FORMAT, soak.COMMAND)
    failed = replace(result, problems=("the node ended",))
    path = tmp_path / "soak.json"
    soak.save_result(failed, path)
    monkeypatch.setattr(sys, "argv", ["soak.py", "--page", "--json", str(path)])
    assert soak.main() == 1
    assert "the node ended" in capsys.readouterr().out
    assert "- the node ended" in soak_page.render(failed, soak_page.PAGE.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("waited", "computed", "up"),
    [(100, 90, False), (130, 90, True), (130, 10, False), (1100, 10, False), (1300, 0, True)],
)
def test_a_node_that_starves_is_waited_for_and_one_that_hangs_is_not(waited, computed, up):
    assert time_is_up(120.0, waited, computed) == up
