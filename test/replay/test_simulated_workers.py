"""Slices in simulated time do what the node's worker does: the same frames' common features, at the same frames."""

import threading

from hypothesis import given, settings
from hypothesis import strategies as st

from dcfm_ros.replay.simulation import SimulatedSlices, VirtualTime
from dcfm_ros.stream.common_feature import CommonBranch, KeyFrame
from dcfm_ros.stream.config import StreamConfig
from dcfm_ros.stream.slice_plan import SlicePlan
from dcfm_ros.stream.slices import SlicedWorker

FAILING = 7


class CountingEngine:
    """A frame is its number. Frames whose number FAILING divides fail, in the middle of their common branch."""

    def __init__(self):
        self.pieces = 0

    def common(self, independent):
        return independent

    def common_slices(self, independent, pieces):
        for piece in range(pieces):
            if piece:
                yield
            if piece == pieces // 2 and independent and independent % FAILING == 0:
                self.pieces += 1
                raise RuntimeError(f"frame {independent}")
            self.pieces += 1
        return independent


def until(read, wanted):
    """Wait until the real worker's thread has come so far; how long it takes changes nothing."""
    pause = threading.Event()
    for _ in range(20_000):
        if read() == wanted:
            return
        pause.wait(0.001)
    raise AssertionError("it never happened")


@settings(max_examples=60)
@given(
    pieces=st.integers(2, 5),
    script=st.lists(
        st.tuples(st.booleans(), st.integers(0, 7).map(lambda n: n == 0)), min_size=1, max_size=25
    ),
)
def test_slices_do_what_the_real_ones_do(pieces, script):
    """script: of every frame, whether a trigger fires, and whether the stream is reset before it."""
    config = StreamConfig(agreement=False)
    engines = real_engine, simulated_engine = CountingEngine(), CountingEngine()
    branches = [CommonBranch(engine, config) for engine in engines]
    real = SlicedWorker(branches[0], None, SlicePlan(pieces))
    simulated = SimulatedSlices(VirtualTime(lambda: 0.0), branches[1], None, SlicePlan(pieces))
    expected = 0  # pieces so far
    try:
        for index, (fires, reset) in enumerate(script):
            seen = []
            for worker in (real, simulated):
                if reset:
                    worker.forget()
                worker.pause()
            until(lambda: real.waiting, simulated.waiting)
            for worker in (real, simulated):
                if fires or worker.newest is None or worker.waiting:
                    worker.submit(KeyFrame(index, index, index, (16, 12), index))
                error = str(worker.error) if worker.error else ""
                seen.append((worker.newest.index if worker.newest else None, worker.errors, error))
            assert seen[0] == seen[1], f"frame {index}"
            before = (
                simulated_engine.pieces
            )  # more than in the real one: each number of pieces is tried once before
            for worker in (real, simulated):
                worker.resume()
            expected += simulated_engine.pieces - before
            until(lambda: real_engine.pieces, expected)
    finally:
        real.close()
