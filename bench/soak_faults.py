"""The faults of a soak, each done to a rig: what it does to the camera, the node, or whoever else takes part."""

from __future__ import annotations

import math
import os
import random
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lifecycle_msgs.msg import Transition
from nav_msgs.msg import Odometry
from rcl_interfaces.srv import SetParameters
from rclpy.parameter import Parameter
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from soak_pictures import BAD, misfit
from soak_rig import PATIENCE_S, Rig
from soak_schedule import FAULTS, KILL
from std_srvs.srv import SetBool, Trigger

from dcfm_ros.errors import DcfmError
from dcfm_ros.node.publish import reliable
from dcfm_ros.replay.live.processes import Child, ChildProcesses, child_environment
from dcfm_ros.share import share_path

HOUR_NS = 3600 * 10**9
Work = Callable[[Rig, random.Random], None]

CHANGES: dict[str, tuple[Any, ...]] = {
    "mode": ("inline", "background"),
    "background": ("auto", "thread", "slices"),
    "align": ("auto", "flow", "none"),
    "mask_size": ("input", "network"),
    "input_size": ([0, 0], [256, 192]),
    "key_interval": (0, 1, 7),
    "key_period_ms": (200.0, 1000.0),
    "motion_threshold": (0.0, 0.4),
    "max_age_ms": (1000.0, 3000.0),
    "agreement": (True, False),
    "overlay_alpha": (0.0, 0.5, 1.0),
    "budget_ms": (100.0, 500.0),
}
REFUSED: dict[str, Any] = {
    "key_interval": -1,
    "mode": "sometimes",
    "motion_threshold": math.nan,
    "overlay_alpha": 3.0,
    "input_size": [0, 100],
    "max_age_ms": "old",
    "budget_ms": math.inf,
    "weights": "nowhere.safetensors",
    "threads": 77,
    "autostart": False,
    "no_such_parameter": 1,
}
OUTPUTS = {
    "confidence": Image,
    "overlay": Image,
    "mask/compressed": CompressedImage,
    "camera_info": CameraInfo,
}


def inject(rig: Rig, kind: str, rng: random.Random) -> None:
    """Do it, and wait until a frame that is sent afterwards has its mask."""
    rig.fault = kind
    rig.book.of(kind).injected += 1
    _WORKS[kind](rig, rng)
    rig.recovered()


def _bad_frames(rig: Rig, rng: random.Random) -> None:
    for _ in range(rng.randint(1, 4)):
        rig.frame()
        rig.idle()  # one that makes room for a newer one is dropped like any other, and nobody looks at it
        rig.bad(BAD[rig.fault](rng, rig.plan.size, compressed=rig.compressed))
        rig.frames(rng.randint(0, 2))
    rig.bad_were_counted()


def _size(rig: Rig, rng: random.Random) -> None:
    rig.frames(rng.randint(2, 8), size=(rng.randint(40, 400), rng.randint(40, 300)))


def _stereo(rig: Rig, rng: random.Random) -> None:
    for _ in range(rng.randint(2, 8)):
        rig.frame(frame_id="left")
        rig.frame(frame_id="right", stamp_ns=rig.last_stamp_ns, wait=False)


def _jump(offset_ns: int) -> Work:
    def work(rig: Rig, rng: random.Random) -> None:
        for _ in range(rng.randint(1, 10)):
            rig.frame(stamp_ns=time.time_ns() + offset_ns)

    return work


def _stand_still(rig: Rig, rng: random.Random) -> None:
    rig.frames(rng.randint(2, 10), stamp_ns=time.time_ns())


def _swap(rig: Rig, rng: random.Random) -> None:
    for _ in range(rng.randint(1, 5)):
        now_ns, period_ns = time.time_ns(), round(1e9 / rig.plan.rate_hz)
        rig.frame(stamp_ns=now_ns + period_ns)
        rig.frame(stamp_ns=now_ns)


def _pause(rig: Rig, rng: random.Random) -> None:
    rig.spin(rng.uniform(0.5, 5.0))


def _other_camera(rig: Rig, rng: random.Random) -> None:
    rig.book.goes_away()
    rig.disconnect()
    with ChildProcesses() as children:
        command = [sys.executable, str(Path(__file__).with_name("soak_camera.py"))]
        camera = children.add(
            Child(
                "camera",
                [*command, "compressed" if rig.compressed else "raw"],
                log=rig.folder / "camera.log",
                env=child_environment(share_path("config", "fastdds.xml")),
                cwd=rig.folder,
                sends_events=False,
            )
        )
        wanted, deadline = rig.book.masks["guest"] + rng.randint(1, 20), time.monotonic() + PATIENCE_S
        while rig.book.masks["guest"] < wanted:
            rig.spin(0.05)
            if camera.status is not None or time.monotonic() > deadline:
                raise DcfmError(f"no masks of the other camera; its log ends with:\n{camera.log_tail()}")
        os.kill(camera.pid, signal.SIGKILL)
    rig.connect()
    rig.comes_back()


def _odometry(rig: Rig, rng: random.Random) -> None:
    for value in (math.nan, math.inf, 0.0, 3.0, rng.uniform(-1e9, 1e9), math.nan, 0.0):
        message = Odometry()
        message.pose.pose.position.x = value
        message.pose.pose.orientation.w = 1.0 if math.isfinite(value) else value
        rig.odometry.publish(message)
        rig.frame()


def _calibration(rig: Rig, rng: random.Random) -> None:
    for _ in range(rng.randint(2, 6)):
        rig.frame(info=misfit(rng, rig.plan.size))


def _change(rig: Rig, rng: random.Random) -> None:
    names = rng.sample(list(CHANGES), rng.randint(1, 2))
    for result in _set(rig, {name: rng.choice(CHANGES[name]) for name in names}):
        if not result.successful:
            rig.book.problem(f"a change of {', '.join(names)} was refused: {result.reason}")
    rig.frames(5)


def _refused(rig: Rig, rng: random.Random) -> None:
    for name in rng.sample(list(REFUSED), 3):
        (result,) = _set(rig, {name: REFUSED[name]})
        if result.successful or not result.reason:
            rig.book.problem(f"{name} was set to {REFUSED[name]!r}, or was refused without a reason")


def _set(rig: Rig, values: dict[str, Any]) -> Any:
    parameters = [Parameter(name, value=value).to_parameter_msg() for name, value in values.items()]
    return rig.call(rig.set_parameters, SetParameters.Request(parameters=parameters)).results


def _deactivate(rig: Rig, rng: random.Random) -> None:
    rig.book.goes_away()
    rig.change(Transition.TRANSITION_DEACTIVATE, "inactive")
    rig.frames(rng.randint(0, 10))
    rig.change(Transition.TRANSITION_ACTIVATE, "active")
    rig.comes_back()


def _unconfigure(rig: Rig, rng: random.Random) -> None:
    rig.book.goes_away()
    rig.change(Transition.TRANSITION_DEACTIVATE, "inactive")
    rig.change(Transition.TRANSITION_CLEANUP, "unconfigured")
    rig.book.settle()
    rig.compressed, rig.setups = not rig.compressed, rig.setups + 1
    (result,) = _set(rig, {"transport": "compressed" if rig.compressed else "raw"})
    if not result.successful:
        rig.book.problem(f"the unconfigured node refused another transport: {result.reason}")
    rig.frames(rng.randint(0, 5))
    rig.change(Transition.TRANSITION_CONFIGURE, "inactive")
    rig.change(Transition.TRANSITION_ACTIVATE, "active")
    rig.comes_back()


def _pause_node(rig: Rig, rng: random.Random) -> None:
    rig.book.goes_away()
    rig.call(rig.enable, SetBool.Request(data=False))
    rig.frames(rng.randint(0, 10))
    rig.call(rig.enable, SetBool.Request(data=True))
    rig.comes_back()


def _refresh(rig: Rig, rng: random.Random) -> None:
    for _ in range(rng.randint(1, 3)):
        if not rig.call(rig.refresh, Trigger.Request()).success:
            rig.book.problem("~/refresh did not succeed")


def _subscriber(rig: Rig, rng: random.Random) -> None:
    name = rng.choice(list(OUTPUTS))
    heard: list[bytes] = []
    topic = f"segmentation/{name}"
    subscription = rig.node.create_subscription(OUTPUTS[name], topic, heard.append, reliable(5), raw=True)
    rig.until(lambda: len(heard) >= 3, f"{topic} to come")
    rig.node.destroy_subscription(subscription)


_WORKS: dict[str, Work] = {
    **dict.fromkeys(BAD, _bad_frames),
    "size change": _size,
    "stereo on one topic": _stereo,
    "stamps jump back": _jump(-HOUR_NS),
    "stamps jump ahead": _jump(HOUR_NS),
    "stamps stand still": _stand_still,
    "neighbours swapped": _swap,
    "camera pauses": _pause,
    "camera killed": _other_camera,
    "odometry is not finite": _odometry,
    "calibration does not fit": _calibration,
    "parameters change": _change,
    "parameters are refused": _refused,
    "deactivated": _deactivate,
    "unconfigured": _unconfigure,
    "refresh": _refresh,
    "paused": _pause_node,
    "subscriber comes and goes": _subscriber,
    KILL: lambda rig, rng: rig.kill(),
}
assert set(_WORKS) == {*FAULTS, KILL}
