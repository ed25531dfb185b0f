"""Links between the pages lead somewhere: files that exist, headings that are there. Nothing is fetched."""

import re
import string
from pathlib import Path

import pytest
from test_imports import FLOORS

ROOT = Path(__file__).resolve().parents[2]
if not (ROOT / "docs").is_dir():
    pytest.skip("needs the source tree", allow_module_level=True)

PAGES = sorted(
    path
    for folder in (".", "docs", "weights", "examples", ".github")
    for path in (ROOT / folder).glob("*.md")
)
LINK = re.compile(r"\[(?:[^][]|\[[^][]*\])*\]\(([^)\s]+)\)")


def links(page):
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    return [target for target in LINK.findall(text) if "://" not in target]


def anchors(page):
    """The headings' names in links, as GitHub makes them."""
    kept = set(string.ascii_lowercase + string.digits + " -_") | set("äöüß")
    for heading in re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE):
        yield "".join(letter for letter in heading.strip().lower() if letter in kept).replace(" ", "-")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page):
    for target in links(page):
        place, _, anchor = target.partition("#")
        path = (page.parent / place).resolve() if place else page
        assert path.exists(), target
        assert path.is_relative_to(ROOT), f"{target} lies outside the repository"
        if anchor and path.suffix == ".md":
            assert anchor in set(anchors(path)), target


def test_the_architecture_shows_the_floors_that_the_imports_keep():
    rows = re.findall(
        r"^\| (\d+) \| ([^|]*)\| ([^|]*)\|",
        (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8"),
        re.MULTILINE,
    )
    shown = {
        int(number): {
            *re.findall(r"`(\w+)`", ours),
            *(f"dcfm_lab.{room}" for room in re.findall(r"`(\w+)`", lab)),
        }
        for number, ours, lab in rows
    }
    assert shown == dict(enumerate(FLOORS, 1))


def test_there_are_links():
    assert len(links(ROOT / "README.md")) > 10


def test_every_page_of_the_documentation_is_in_its_contents():
    contents = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").partition("\nnav:\n")[2]
    shown = set(re.findall(r": (\w+\.md)$", contents, re.MULTILINE))
    assert {path.name for path in (ROOT / "docs").glob("*.md")} <= shown
