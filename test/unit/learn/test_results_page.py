"""The page of results, made by a script of the source tree from the JSON of evaluations."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from results_page import MARKS, fill, main, render

from dcfm_lab.evaluation.report import new_report
from dcfm_lab.evaluation.table import main_table
from dcfm_lab.measure.result_file import save_result
from dcfm_ros.model.shipped import MODELS

BEGIN, END = MARKS
DOCS = Path(__file__).resolve().parents[3] / "docs"


def test_page_holds_every_number_of_the_json(report, evaluation, tmp_path):
    other = replace(evaluation, model=replace(evaluation.model, name="other"), rows=evaluation.rows[:2])
    save_result(report, tmp_path / "results" / "tiny.json")
    save_result(new_report([other], "dcfm evaluate other"), tmp_path / "results" / "other.json")
    (tmp_path / "results" / "tiny_cost.svg").write_text("<svg/>", encoding="utf-8")
    page = render(
        [tmp_path / "results" / name for name in ("tiny.json", "other.json")], tmp_path / "results.md"
    )
    overview = page[page.index("## mIoU") : page.index("## tiny")]
    assert "| camvid val | every frame | every 5 | every 10 |" in overview
    assert "| tiny | 65.2 | 63.1 | 60.0 |" in overview
    assert "| other | 65.2 | 63.1 | – |" in overview
    table = main_table(evaluation)
    for row in (table.head, *table.rows):
        line = next(
            line for line in page.splitlines() if line.split("|")[1:3] and row[0] in line and row[1] in line
        )
        assert tuple(cell.strip() for cell in line.strip("|").split("|")) == row
    assert "[`tiny.json`](results/tiny.json): `dcfm evaluate --data camvid:camvid`" in page
    assert "](results/tiny_cost.svg)" in page and "tiny_interval" not in page


def test_committed_page_is_what_the_generator_makes_of_the_committed_json():
    files = sorted((DOCS / "results").glob("*.json"))
    assert files, "docs/results holds no evaluation"
    page = DOCS / "results.md"
    assert page.read_text(encoding="utf-8") == render(files, page), (
        "run `python bench/results_page.py docs/results.md docs/results/*.json`"
    )


def test_a_page_that_people_write_keeps_their_words(report, tmp_path):
    save_result(report, tmp_path / "tiny.json")
    page = f"# Card\n\nMy words.\n\n{BEGIN}\nold numbers\n{END}\n\nMore words.\n"
    filled = fill(page, [tmp_path / "tiny.json"], tmp_path / "README.md")
    assert filled.startswith(f"# Card\n\nMy words.\n\n{BEGIN}\n\n### tiny on camvid val\n")
    assert filled.endswith(f"\n\n{END}\n\nMore words.\n")
    assert "old numbers" not in filled and "| every 5" in filled and "# Results" not in filled
    assert fill(filled, [tmp_path / "tiny.json"], tmp_path / "README.md") == filled


def test_committed_card_is_what_the_generator_makes_of_the_committed_json():
    card = DOCS.parent / "weights" / "README.md"
    files = [DOCS / "results" / f"{name}_{split}.json" for name in MODELS for split in ("test", "val")]
    text = card.read_text(encoding="utf-8")
    assert BEGIN in text and text == fill(text, files, card), (
        "run `python bench/results_page.py weights/README.md docs/results/{street,camvid}_{test,val}.json`"
    )


def test_the_script_writes_the_page(report, tmp_path, capsys):
    save_result(report, tmp_path / "tiny.json")
    assert main([str(tmp_path / "page.md"), str(tmp_path / "tiny.json")]) == 0
    written = (tmp_path / "page.md").read_text(encoding="utf-8")
    assert written == render([tmp_path / "tiny.json"], tmp_path / "page.md")
    assert main(["page.md"]) == 2 and "usage" in capsys.readouterr().err
