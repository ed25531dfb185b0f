"""The pages: nothing from outside, numbers that parse, and no complaint from a real browser."""

import copy
import csv
import dataclasses
import hashlib
import json
import re
import shutil
import subprocess
from importlib.resources import files

import bags
import numpy as np
import pytest
from bags import stamp_of
from fakes import job, never

from dcfm_ros.measure.machine import LoadSample, this_machine
from dcfm_ros.model.shipped import default_weights
from dcfm_ros.replay.job import parse
from dcfm_ros.replay.many import replay_one
from dcfm_ros.replay.outputs import prepare
from dcfm_ros.replay.replayer import run_job
from dcfm_ros.replay.report.page import write_report
from dcfm_ros.replay.report.recordings_page import write_recordings
from dcfm_ros.replay.report.report import as_json
from dcfm_ros.replay.report.sweep_page import write_sweep
from dcfm_ros.replay.report.tables import summary_text
from dcfm_ros.replay.summary import STEPS, summarise
from dcfm_ros.replay.sweep import run_sweep
from dcfm_ros.stream.config import StreamConfig

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--enable-logging=stderr",
    "--window-size=1200,900",
    "--virtual-time-budget=3000",
)


TOPIC = "/<script>alert('topic')</script>"


pytestmark = pytest.mark.usefixtures("fake_engine")


@pytest.fixture
def recording(tmp_path):
    entries = []
    for index in range(30):
        stamp = stamp_of(index)
        label = np.full((48, 64), index % 3, np.uint8)
        entries.append((TOPIC, bags.IMAGE, stamp, bags.image(bags.picture(index), stamp)))
        entries.append(("/label", bags.IMAGE, stamp, bags.image(label, stamp, encoding="mono8")))
    # Names that would be markup, if they were not escaped.
    return bags.write_ros2(tmp_path / "<b>drive & co</b>", entries)


def run_page(recording, folder):
    done = run_job(
        job(recording, folder, topic=TOPIC, labels="/label", span=1.0, video=True), never, quiet=True
    )
    report = dataclasses.replace(done.report, load=[LoadSample(t / 2, 50.0 + t, 300.0) for t in range(6)])
    return write_report(report, folder)


def sweep_page(recording, folder):
    base = job(recording, folder, topic=TOPIC, labels="/label", stream=StreamConfig(mode="inline"))
    axes = parse(["trigger=interval:1,interval:5,motion:0.1"])
    return write_sweep(run_sweep(base, axes, never), "<i>a drive</i>", folder)


def recordings_page(recording, folder):
    prepare(folder, force=False)
    jobs = [
        job(recording, folder / "runs" / "a", topic=TOPIC, labels="/label"),
        job(folder / "none", folder / "runs" / "b"),
    ]
    return write_recordings([replay_one(entry, never) for entry in jobs], folder)


PAGES = [run_page, sweep_page, recordings_page]


@pytest.mark.parametrize(("write", "runs"), list(zip(PAGES, (0, 3, 2), strict=True)))
def test_a_page_needs_nothing_else(tmp_path, recording, write, runs):
    text = write(recording, tmp_path / "out").read_text()
    markup = re.sub(r"<script>.*?</script>", "", text, flags=re.S)
    outside = re.findall(r"""(?:src|href|url)\s*[=(]\s*["']?(?!data:)([^"')\s>]+)""", markup)
    # Links lead only to what lies beside the page; nothing is loaded.
    assert all("://" not in link and (tmp_path / "out" / link).exists() for link in outside)
    assert not re.search(r"<(?:link|script)[^>]*(?:href|src)=[\"'](?!data:)", text)
    assert "<b>drive" not in text and "<i>a drive" not in text
    numbers = json.loads((tmp_path / "out" / "results.json").read_text())
    assert len(numbers.get("runs", ())) == runs and numbers["settings"]["Engine"] == "fake, cpu, fp32"


def below(text, heading):
    """What the page shows under a heading, up to the next one."""
    return re.search(rf"<h[23]>{re.escape(heading)}</h[23]>(.*?)(?=<h[23]>|</main>)", text, re.S).group(1)


def rows(markup):
    """Cells of a table's rows, head first, as text."""
    lines = re.findall(r"<tr>(.*?)</tr>", markup, re.S)
    return [[re.sub("<.*?>", "", cell) for cell in re.findall(r"<t[hd].*?</t[hd]>", line)] for line in lines]


def test_the_page_shows_what_it_promises(tmp_path, recording):
    done = run_page(recording, tmp_path / "out")
    text, numbers = done.read_text(), json.loads((tmp_path / "out" / "results.json").read_text())
    summary = numbers["summary"]
    assert below(text, "Every frame").count('class="dot"') == 30
    latency = [f"{summary['latency'][name]:.1f}" for name in ("p50", "p95", "p99", "max")]
    assert rows(below(text, "Distribution"))[1] == ["all frames", "30", *latency]
    steps = {row[0]: row[-1] for row in rows(below(text, "Where the time goes, mean ms"))}
    assert {"independent", "fuse", "label map"} <= set(steps)
    for track in ("Age of the common feature, ms", "Reuse agreement", "Accuracy", "Confidence"):
        assert re.search(r"<path", below(text, track)), track
    spans = rows(below(text, "By time span"))
    assert [row[:3] for row in spans[1:]] == [[f"{n}.0 s", "0.9 s", "10"] for n in range(3)]
    shares = rows(below(text, "Share of each class over time"))
    iou = numbers["accuracy"]["per_class_iou"]
    assert [(row[0], row[2]) for row in shares[1:]] == [
        (name, f"{iou[name]:.1%}".replace("%", " %")) for name in iou
    ]
    slowest = re.search(r"<figcaption><b>(.*?)</b>", below(text, "Slowest")).group(1)
    assert slowest == f"{summary['latency']['max']:.0f} ms"
    assert "true labels" in below(text, "Lowest confidence")
    for chart in ("Processor, % of one core", "Resident memory, MB"):
        assert "<path" in below(text, chart)
    assert dict(rows(below(text, "Machine"))) == numbers["machine"]
    data = json.loads(re.search(r'id="data">(.*?)</script>', text, re.S).group(1))
    assert len(data["frames"]["t"]) == 30 and data["pictures"]


def test_what_others_have_named_is_shown_and_not_run(tmp_path, recording):
    done = run_job(job(recording, tmp_path / "out", topic=TOPIC, labels="/label"), never, quiet=True)
    names = ("<script>alert('class')</script>", "a & b", '"c"')
    report = dataclasses.replace(done.report, notes=("<script>alert('note')</script>",))
    report.run.card = dataclasses.replace(report.run.card, classes=names)
    text = write_report(report, tmp_path / "out").read_text()
    assert "<script>alert" not in text
    for what in ("topic", "class", "note"):
        assert f"&lt;script&gt;alert(&#39;{what}&#39;)&lt;/script&gt;" in text
    assert json.loads((tmp_path / "out" / "results.json").read_text())["notes"] == list(report.notes)


def test_a_page_of_one_frame_without_labels(tmp_path):
    entries = [("/image", bags.IMAGE, stamp_of(0), bags.image(bags.picture(0), stamp_of(0)))]
    path = bags.write_ros2(tmp_path / "bag", entries)
    text = run_job(job(path, tmp_path / "out"), never, quiet=True).page.read_text()
    assert "1 frame in, 1 mask out; " in text  # as fast as possible, none can be lost
    assert "mIoU" not in text and "By time span" not in text


@pytest.mark.parametrize("write", PAGES)
def test_every_page_says_how_it_was_measured(tmp_path, recording, write):
    text = write(recording, tmp_path / "out").read_text()
    settings = dict(rows(below(text, "Settings")))
    digest = hashlib.sha256(default_weights().read_bytes()).hexdigest()[:12]
    assert settings["Weights"] == f"{default_weights().name}, SHA-256 {digest}"
    assert settings["Engine"].startswith("fake, cpu, fp32")
    assert dict(rows(below(text, "Machine"))) == this_machine().words()
    assert ("Refresh" in settings) is (write is not sweep_page)  # which its runs do not have in common


def test_stale_masks_are_counted(tmp_path, recording):
    report = run_job(job(recording, tmp_path / "out", topic=TOPIC), never, quiet=True).report
    slow = dataclasses.replace(report, run=tally_with_stale(report.run, 13))
    slow = dataclasses.replace(slow, summary=summarise(slow.run.records))
    assert "13 stale" in slow.headline and as_json(slow)["summary"]["stale"] == 13
    text = write_report(slow, tmp_path / "out").read_text()
    assert "Stale masks" in text and "Stale masks" not in write_report(report, tmp_path / "out").read_text()
    assert re.search(r"stale +13 masks", summary_text(slow))
    write_report(slow, tmp_path / "out")
    with (tmp_path / "out" / "frames.csv").open() as file:
        assert sum(row["stale"] == "1" for row in csv.DictReader(file)) == 13


def tally_with_stale(run, count):
    run = copy.copy(run)
    run.records = [dataclasses.replace(r, stale=i < count) for i, r in enumerate(run.records)]
    return run


@pytest.mark.parametrize("cores, told", [(None, False), (0.2, False), (1.3, True)])
def test_a_busy_machine_is_told(tmp_path, recording, cores, told):
    report = run_job(job(recording, tmp_path / "out", topic=TOPIC), never, quiet=True).report
    report = dataclasses.replace(report, others_cores=cores)
    told_on_page = "kept 1.3 of" in write_report(report, tmp_path / "out").read_text()
    assert told_on_page is told and ("kept 1.3 of" in summary_text(report)) is told
    assert as_json(report)["others_cores"] == cores


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium")
@pytest.mark.slow
@pytest.mark.parametrize("write", PAGES)
def test_a_browser_has_nothing_to_complain_about(tmp_path, recording, write):
    page = write(recording, tmp_path / "out")
    # What the viewer's script does shows in the page: it has run to its end if it wrote the caption.
    result = subprocess.run(
        [CHROMIUM, *FLAGS, f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", page.as_uri()],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert "</html>" in result.stdout
    complaints = [line for line in result.stderr.splitlines() if "CONSOLE" in line or "Uncaught" in line]
    assert complaints == []
    if write is run_page:
        assert re.search(r"<output[^>]*>frame \d+", result.stdout)
        assert result.stdout.count('class="pointer"') >= 5


def test_every_step_of_a_frame_has_a_colour_by_day_and_by_night():
    style = files("dcfm_ros.replay.report").joinpath("templates", "page.css").read_text(encoding="utf-8")
    assert {style.count(f"--step{index}:") for index in range(len(STEPS))} == {2}
