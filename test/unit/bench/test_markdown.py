"""The generated part of a page."""

from pathlib import Path

from markdown import fill, link

MARKS = "<!-- begin -->", "<!-- end -->"


def test_what_people_wrote_stays():
    page = "mine\n<!-- begin -->\nold\n<!-- end -->\nmine, too\n"
    filled = "mine\n<!-- begin -->\n\nnew\n\n<!-- end -->\nmine, too\n"
    assert fill(page, MARKS, "new") == filled
    assert fill(filled, MARKS, "new") == filled


def test_a_page_without_its_marks_is_not_touched():
    assert fill("mine", MARKS, "new") is None
    assert fill("mine <!-- begin --> more", MARKS, "new") is None


def test_links_are_relative_to_the_page():
    assert link(Path("bench/results/cpu.json"), Path("docs/speed.md")) == "../bench/results/cpu.json"
