"""What a visitor does with a page: step through its frames, move the divider by keys, read it on a telephone."""

import contextlib
import json
import os
import shutil
import subprocess
import time

import bags
import numpy as np
import pytest
from bags import stamp_of
from fakes import CARD, job, never

from dcfm_ros.replay.replayer import run_job
from dcfm_ros.replay.report.svg import Plot
from dcfm_ros.replay.run_video import RunVideo

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FRAMES, PATIENCE_S = 40, 60.0

needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium")


class Browser:
    """Chromium's own protocol over two pipes."""

    def __init__(self, profile):
        to_browser, self._write = os.pipe()
        read, from_browser = os.pipe()
        flags = (
            "--headless --no-sandbox --disable-gpu --no-first-run --hide-scrollbars --remote-debugging-pipe"
        )
        command = f'exec "{CHROMIUM}" {flags} "--user-data-dir={profile}" 3<&{to_browser} 4>&{from_browser}'
        self.process = subprocess.Popen(
            ["bash", "-c", command], pass_fds=(to_browser, from_browser), stderr=subprocess.DEVNULL
        )
        os.close(to_browser)
        os.close(from_browser)
        self._read, self._number, self._session = os.fdopen(read, "rb"), 0, {}
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = {"sessionId": session["sessionId"]}

    def call(self, method, **params):
        self._number += 1
        request = {"id": self._number, "method": method, "params": params, **self._session}
        os.write(self._write, json.dumps(request).encode() + b"\0")
        while True:
            answer = json.loads(b"".join(iter(lambda: self._read.read(1), b"\0")))
            if answer.get("id") == self._number:
                return answer["result"]

    def value(self, script):
        return self.call("Runtime.evaluate", expression=script, returnByValue=True)["result"].get("value")

    def until(self, script):
        deadline = time.monotonic() + PATIENCE_S
        while not (value := self.value(script)):
            assert time.monotonic() < deadline, script
            time.sleep(0.05)
        return value

    def key(self, key):
        text = key if len(key) == 1 else ""
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, text=text)


@pytest.fixture
def browser(tmp_path):
    with contextlib.ExitStack() as end:
        chromium = Browser(tmp_path / "profile")
        end.callback(chromium.process.wait)
        end.callback(chromium.process.kill)
        yield chromium


@pytest.fixture
def page(tmp_path, fake_engine):
    """Of a drive whose frames get brighter one by one."""
    entries = []
    for index in range(FRAMES):
        picture = np.full((48, 64, 3), 5 * index, np.uint8)
        entries.append(("/image", bags.IMAGE, stamp_of(index), bags.image(picture, stamp_of(index))))
    recording = bags.write_ros2(tmp_path / "bag", entries)
    return run_job(job(recording, tmp_path / "out", video=True), never, quiet=True).page


@needs_browser
@pytest.mark.slow
@pytest.mark.parametrize("has_video", [True, False])
def test_a_visitor_steps_from_frame_to_frame(browser, page, has_video):
    if not has_video:
        (page.parent / "frames.webm").unlink()
    browser.call("Page.navigate", url=page.as_uri())
    browser.until("document.readyState === 'complete' && document.querySelector('output').textContent")
    if has_video:
        browser.until("document.querySelector('.stage').classList.contains('stepping')")
    step = 1 if has_video else 2  # without the video there are every second frame's pictures
    words = "document.querySelector('output').textContent"
    first = int(browser.value(words).split()[1].strip(","))
    browser.key(".")
    assert browser.until(words).startswith(f"frame {first + step},")
    browser.value("document.querySelector('.step').click()")
    browser.key(",")
    assert browser.value(words).startswith(f"frame {first - step},")
    browser.value("const range = document.querySelector('input'); range.value = 0;")
    browser.value("range.dispatchEvent(new Event('input'))")
    assert browser.value(words).startswith("frame 0,")
    if has_video:
        assert browser.value("document.querySelector('input').max") == str(FRAMES - 1)
        assert browser.value("document.querySelector('canvas').width") == 64


@needs_browser
@pytest.mark.slow
def test_the_divider_moves_by_keys_and_a_telephone_shows_all(browser, page):
    browser.call(
        "Emulation.setDeviceMetricsOverride", width=400, height=800, deviceScaleFactor=1, mobile=False
    )
    browser.call("Page.navigate", url=page.as_uri())
    browser.until("document.readyState === 'complete' && document.querySelector('output').textContent")
    browser.value("document.querySelector('.handle').focus()")
    before = browser.value("document.querySelector('output').textContent")
    for key, percent in (
        ("ArrowRight", "55"),
        ("ArrowLeft", "50"),
        ("Home", "0"),
        ("ArrowLeft", "0"),
        ("End", "100"),
    ):
        browser.key(key)
        assert browser.value("document.activeElement.getAttribute('aria-valuenow')") == percent
    assert browser.value("document.activeElement.getAttribute('role')") == "slider"
    assert browser.value("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    assert browser.value("document.querySelector('output').textContent") == before
    assert browser.value("document.documentElement.scrollWidth") == 400
    sizes = "[...document.querySelectorAll('.chart text')].map(word => word.getBoundingClientRect().height)"
    assert (
        min(height for height in browser.value(sizes) if height) > 10
    )  # what there is no room for is left out


def test_an_axis_that_is_cut_says_so():
    def drawn(low):
        plot = Plot((0, 1), (low, 1), 100)
        plot.axes(y_format=lambda value: f"{value:.0%}")
        return plot.svg("a chart")

    assert "the axis begins at 80%" in drawn(0.8)
    assert "begins" not in drawn(0)


def test_frames_of_a_video_are_found_when_some_are_lost(tmp_path):
    video = RunVideo(tmp_path, 10.0, CARD)
    picture, mask = np.zeros((48, 640, 3), np.uint8), np.zeros((48, 640), np.uint8)
    for index in (0, 3):
        video.write(index, picture, mask, picture)
    video.close()
    assert video.shown == [0, 3] and set(video.files) == {"overlay.webm", "frames.webm"}
    assert video.steps == "frames.webm"
