"""Small made-up measurements for the tests of what is written from them."""

from parts import (
    PUBLISHED,
    SEGFORMER,
    TUNED,
    Against,
    LabelMapRow,
    NodeRow,
    Suite,
    SuiteAmortised,
    SuiteCase,
    SuitePart,
    SuiteRow,
)

from dcfm_lab.bench.result import DCFM, FORMAT
from dcfm_lab.measure.spread import Spread


def exactly(value):
    return Spread(value, value, value, 5)


def against(mean):
    """SegFormers with two widths of the head; the goals speak of the wider one: 900 ms, with all tricks 140 ms."""
    for kind, width, taken in (
        (SEGFORMER, 256, 500),
        (TUNED, 256, 100),
        (SEGFORMER, 768, 900),
        (TUNED, 768, 140),
    ):
        yield Against(kind, width, exactly(taken / mean))


def row(engine="openvino", precision="fp32", *, key=100.0, other=20.0, agreement=1.0, **changes):
    """One of ours beside a published order of 300 ms per key frame and 200 ms per other frame."""
    means = {k: (key + (k - 1) * other) / k for k in (1, 2, 5, 10, 20)}
    return SuiteRow(
        kind=DCFM,
        engine=engine,
        precision=precision,
        key=exactly(key),
        other=exactly(other),
        key_ratio=exactly(300 / key),
        other_ratio=exactly(200 / other),
        key_stages={"independent": 10.0, "common": key - 12, "fuse": 1.0, "label_map": 1.0},
        other_stages={"independent": other - 2, "fuse": 1.0, "label_map": 1.0},
        amortised=tuple(SuiteAmortised(k, exactly(mean), tuple(against(mean))) for k, mean in means.items()),
        agreement=agreement,
        **changes,
    )


def published():
    return SuiteRow(
        PUBLISHED,
        "torch",
        "fp32",
        key=exactly(300.0),
        other=exactly(200.0),
        key_ratio=exactly(1.0),
        other_ratio=exactly(1.0),
        key_stages={"common": 300.0},
        other_stages={"independent": 200.0},
        agreement=1.0,
    )


def case(*rows, name="mit_b2_vspw"):
    return SuiteCase(name, "mit_b2", 124, (853, 480), "random", 5, (published(), *rows))


def part(name, **content):
    machine = {"Processor": "one", "Cores": "2", "Compute threads": "2"}
    return SuitePart(
        name,
        "2026-01-01T00:00:00+00:00",
        f"python bench/run.py --suite {name}",
        12.0,
        0.0,
        machine,
        **content,
    )


def suite(*parts):
    return Suite(FORMAT, parts)


def label_map_row(times=70.0, equal=1.0):
    return LabelMapRow(
        "street", 19, (256, 128), (1280, 720), exactly(times), exactly(1.0), exactly(times), equal
    )


def node_row(outside_ms=4.0):
    return NodeRow("background", (1280, 720), 15.0, "mask", 75, 75, 0, 9.0, 12.0, 15.0, outside_ms, 8.0, 0.4)
