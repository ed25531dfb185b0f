"""What the diagnostics say of a stream, without ROS."""

import math
from types import SimpleNamespace

import pytest

from dcfm_ros.engines import config
from dcfm_ros.media.diagnostics import ERROR, OK, WARN, CameraDiagnostics, Input, Limits, engine_status
from dcfm_ros.media.health import Health
from dcfm_ros.model.config import ModelCard

LIMITS = Limits(budget_ms=200.0, over_budget_s=5.0, input_timeout_s=2.0)
FOUND = Input()


def judged(health, *, running=True, source=FOUND, enabled=True):
    """The statuses of a report, by their short names."""
    report = health.report(running=running)
    statuses = CameraDiagnostics("dcfm: ", "image").statuses(report, LIMITS, source, enabled=enabled)
    return {status.name.removeprefix("dcfm: "): status for status in statuses}


def test_before_the_first_image_the_diagnostics_say_what_they_wait_for():
    status = judged(Health(), source=Input(publishers=0))["input"]
    assert status.level == WARN
    assert "waiting for images on image (0 publishers)" in status.message


def test_a_window_is_told_once():
    health = Health()
    health.image_came(stamped=True)
    health.bad_image("too green")
    assert "too green" in judged(health)["input"].message
    second = judged(health)["input"]
    assert "too green" not in second.message
    assert second.values["failed"] == 1, "counts are for ever"


def test_bad_images_alone_are_an_error_and_among_good_ones_a_warning():
    health = Health()
    for _ in range(2):
        health.image_came(stamped=True)
    health.bad_image("too green")
    assert judged(health)["input"].level == WARN
    health.image_came(stamped=True)
    health.bad_image("too green")
    assert judged(health)["input"].level == ERROR


def test_silence_counts_from_the_last_start():
    now = [100.0]
    health = Health(clock=lambda: now[0])
    health.started()
    health.image_came(stamped=True)
    health.bad_image("too green")
    now[0] += 60
    health.started()
    now[0] += 1
    status = judged(health)["input"]
    assert (status.level, status.message) == (OK, "0.0 images/s")
    now[0] += 1.5
    status = judged(health)["input"]
    assert status.level == ERROR and "no image for 2.5 s" in status.message


def test_a_camera_that_has_never_sent_is_waited_for_after_a_start_too():
    now = [100.0]
    health = Health(clock=lambda: now[0])
    for _ in range(2):
        health.started()
        now[0] += 60
        status = judged(health)["input"]
        assert status.level == WARN and "waiting for images" in status.message


@pytest.mark.parametrize("enabled, message", [(True, "inactive"), (False, "paused by ~/enable")])
def test_who_is_not_running_is_not_judged(enabled, message):
    statuses = judged(Health(), running=False, enabled=enabled)
    assert {status.message for status in statuses.values()} == {message}
    assert {status.level for status in statuses.values()} == {OK}


def test_a_report_of_nothing_has_no_rates():
    report = Health().report(running=True)
    assert report.silent_s == math.inf
    assert report.counts.received == 0


def test_lost_images_are_a_warning_that_names_the_cure():
    health = Health()
    health.image_came(stamped=True)
    health.count("lost", 7)
    status = judged(health, source=Input(loss_hint="take more memory"))["input"]
    assert (status.level, status.message) == (WARN, "7 images lost on the way to the node; take more memory")


def test_where_every_image_is_lost_the_cure_is_named_while_waiting():
    health = Health()
    health.started()
    health.count("lost", 28)
    for _ in range(2):  # in later windows, too
        status = judged(health, source=Input(publishers=1, loss_hint="take more memory"))["input"]
        assert status.level == WARN and "28 lost on the way to the node; take more memory" in status.message


def test_a_publisher_that_cannot_be_heard_is_an_error_until_an_image_comes():
    health, source = Health(), Input(incompatible="its QoS is wrong")
    status = judged(health, source=source)["input"]
    assert (status.level, status.message) == (ERROR, "its QoS is wrong")
    health.image_came(stamped=True)
    assert judged(health, source=source)["input"].level == OK


@pytest.mark.parametrize(
    ("name", "device", "installed", "advised"),
    [
        ("torch", "cpu", False, True),
        ("torch", "cpu", True, False),
        ("torch", "cuda:0", False, False),
        ("onnxruntime", "cpu", False, False),
    ],
)
def test_a_slow_engine_is_told_with_the_remedy(monkeypatch, name, device, installed, advised):
    monkeypatch.setattr(config, "installed", lambda package: installed)
    card = ModelCard(name="small")
    engine = SimpleNamespace(name=name, device=device, precision="fp32", card=card, problem="")
    status = engine_status("dcfm: ", engine)
    assert status.level == OK
    assert ("pip install openvino" in status.message) is advised
