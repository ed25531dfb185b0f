"""Tables for the terminal, Markdown and HTML, and how numbers are written in them."""

import math
from types import SimpleNamespace

import pytest

from dcfm_lab.measure.spread import ms, times
from dcfm_ros.measure.table import NOTHING, Table, number, percent, size

TABLE = Table(
    ("method", "key frames", "ms", "note"), (("copied", "every 5", "5.9", ""), ("moved", "", "11.6", ""))
)


def test_columns_for_a_terminal():
    assert TABLE.text().splitlines() == [
        "method  key frames    ms  note",
        "──────────────────────────────",
        "copied  every 5      5.9",
        "moved               11.6",
    ]


def test_words_are_aligned_to_the_left():
    assert TABLE.left == (True, True, False, False)
    assert Table(("", "b"), (("1", "2"),)).left == (True, False)


def test_markdown():
    assert TABLE.markdown().splitlines() == [
        "| method | key frames | ms | note |",
        "| --- | --: | --: | --: |",
        "| copied | every 5 | 5.9 |  |",
        "| moved |  | 11.6 |  |",
    ]


def test_a_row_for_each_item_and_no_column_without_a_word():
    table = Table.of([1, 2], [("half", lambda i: str(i / 2)), ("none", lambda i: NOTHING), ("it", str)])
    assert table.without_empty_columns() == Table(("half", "it"), (("0.5", "1"), ("1.0", "2")))


def test_a_column_may_be_an_attribute_by_its_name():
    table = Table.of([SimpleNamespace(key_frames=3)], ["key_frames"])
    assert (table.head, table.rows) == (("key frames",), (("3",),))


@pytest.mark.parametrize(
    ("value", "shown"), [(0.714, "0.71"), (9.994, "9.99"), (9.996, "10.0"), (99.94, "99.9"), (99.96, "100")]
)
def test_three_digits(value, shown):
    assert (ms(value), times(value)) == (shown, f"{shown}×")


def test_shares_numbers_and_sizes():
    assert (percent(0.6524), percent(1, 0), number(2.5, ".2f"), size((480, 360))) == (
        "65.2 %",
        "100 %",
        "2.50",
        "480×360",
    )


@pytest.mark.parametrize("write", [number, percent, ms, times])
@pytest.mark.parametrize("value", [None, math.nan])
def test_nothing_is_a_dash(write, value):
    assert write(value) == NOTHING
