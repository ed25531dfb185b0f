"""The pages: nothing from outside, numbers that parse, and no complaint from a real browser."""

import dataclasses
import json
import re
import shutil
import subprocess

import bags
import numpy as np
import pytest
from bags import stamp_of
from fakes import FakeEngine, job

from dcfm_ros.measure.machine_load import LoadSample
from dcfm_ros.replay.many import replay_one
from dcfm_ros.replay.outputs import prepare
from dcfm_ros.replay.report import write_report
from dcfm_ros.replay.report.sweep_page import write_sweep
from dcfm_ros.replay.report.table_page import write_table
from dcfm_ros.replay.run_job import run_job
from dcfm_ros.replay.sweep import parse, run_sweep
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


@pytest.fixture(autouse=True)
def fake_engine(monkeypatch):
    monkeypatch.setattr("dcfm_ros.replay.run_job.create_engine", lambda weights, config: FakeEngine())
    monkeypatch.setattr("dcfm_ros.replay.run_job.default_weights", lambda: "none")


def never():
    return False


@pytest.fixture
def recording(tmp_path):
    entries = []
    for index in range(30):
        stamp = stamp_of(index)
        label = np.full((48, 64), index % 3, np.uint8)
        entries.append(("/image", bags.IMAGE, stamp, bags.image(bags.picture(index), stamp)))
        entries.append(("/label", bags.IMAGE, stamp, bags.image(label, stamp, encoding="mono8")))
    # A name that would be markup, if it were not escaped.
    return bags.write_ros2(tmp_path / "<b>drive & co</b>", entries)


def run_page(recording, folder):
    done = run_job(job(recording, folder, labels="/label", segment_s=1.0, video=True), never, quiet=True)
    report = dataclasses.replace(done.report, load=[LoadSample(t / 2, 50.0 + t, 300.0) for t in range(6)])
    return write_report(report, folder)


def sweep_page(recording, folder):
    base = job(recording, folder, labels="/label", stream=StreamConfig(mode="inline"))
    axes = parse(["trigger=interval:1,interval:5,motion:0.1"])
    return write_sweep(run_sweep(base, axes, never, rate=None, budget_ms=None), "<i>a drive</i>", folder)


def table_page(recording, folder):
    prepare(folder, force=False)
    jobs = [
        job(recording, folder / "runs" / "a", labels="/label"),
        job(folder / "none", folder / "runs" / "b"),
    ]
    return write_table([replay_one(entry, never) for entry in jobs], folder)


PAGES = [run_page, sweep_page, table_page]


@pytest.mark.parametrize("write", PAGES)
def test_a_page_needs_nothing_else(tmp_path, recording, write):
    text = write(recording, tmp_path / "out").read_text()
    markup = re.sub(r"<script>.*?</script>", "", text, flags=re.S)
    outside = re.findall(r"""(?:src|href|url)\s*[=(]\s*["']?(?!data:)([^"')\s>]+)""", markup)
    # Links lead only to what lies beside the page; nothing is loaded.
    assert all("://" not in link and (tmp_path / "out" / link).exists() for link in outside)
    assert not re.search(r"<(?:link|script)[^>]*(?:href|src)=[\"'](?!data:)", text)
    assert "<b>drive" not in text and "<i>a drive" not in text
    numbers = json.loads((tmp_path / "out" / "results.json").read_text())
    assert numbers["title"]


def test_the_page_shows_what_it_promises(tmp_path, recording):
    text = run_page(recording, tmp_path / "out").read_text()
    for title in (
        "Latency",
        "Distribution",
        "Where the time goes",
        "Reuse agreement",
        "Confidence",
        "By segment",
        "Worst moments",
        "Slowest",
        "Least agreement",
        "Lowest confidence",
        "Share of each class over time",
        "The node's process",
        "How this was measured",
    ):
        assert title in text, title
    data = json.loads(re.search(r'id="data">(.*?)</script>', text, re.S).group(1).replace("<\\/", "</"))
    assert len(data["frames"]["t"]) == 30 and data["pictures"]


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
