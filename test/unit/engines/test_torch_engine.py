"""The torch engine: what it compiles and what it captures is what it computes without."""

import contextlib
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from conftest import SIZE

from dcfm_ros.engines.config import EngineConfig
from dcfm_ros.engines.factory import choose, create_engine
from dcfm_ros.engines.torch import engine as torch_engine
from dcfm_ros.engines.torch.cuda_lane import CAPTURING, Graphs
from dcfm_ros.engines.torch.engine import compute_threads, settle_threads
from dcfm_ros.errors import DcfmError
from dcfm_ros.model.fold import fold

TORCH = EngineConfig(engine="torch")
CPU = torch.device("cpu")
GPU_SETTINGS = (
    (torch.backends.cudnn, "benchmark"),
    (torch.backends.cudnn, "allow_tf32"),
    (torch.backends.cuda.matmul, "allow_tf32"),
)


def stream_of(engine, frames):
    """Everything that a stream asks of an engine, as numbers on the CPU."""
    independent = engine.independent(frames[0])
    common = engine.common(independent)
    values = [independent, common, engine.logits(common, engine.independent(frames[1]))]
    return [value.float().cpu().numpy() for value in values]


def assert_close(ours, expected, atol=1e-4):
    for mine, theirs in zip(ours, expected, strict=True):
        np.testing.assert_allclose(mine, theirs, atol=atol)


# -- torch.compile -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def compiled(model):
    if not (shutil.which("g++") or shutil.which("clang++")):
        pytest.skip("torch.compile needs a C++ compiler")
    engine = create_engine(model, EngineConfig(engine="torch", compile=True))
    engine.prepare(SIZE)
    return engine


@pytest.mark.slow
def test_compiled_passes_compute_the_same(compiled, model, frames, caplog):
    assert_close(stream_of(compiled, frames), stream_of(create_engine(model, TORCH), frames))
    assert not caplog.records and not compiled.problem


@pytest.mark.slow
def test_compiled_common_branch_runs_on_as_many_threads_as_asked(compiled, frames):
    independent = compiled.independent(frames[0])
    expected = compiled.common(independent)
    beside = compiled.background(1).common(independent)
    np.testing.assert_allclose(beside, expected, atol=1e-4)


def test_where_torch_cannot_compile_it_goes_on_without(model, frames, monkeypatch, caplog):
    def refuse(plain, **_):
        def function(*_):
            raise RuntimeError("no C++ compiler\nand a long trace")

        return function

    monkeypatch.setattr(torch, "compile", refuse)
    engine = create_engine(model, EngineConfig(engine="torch", compile=True))
    engine.prepare(SIZE)
    assert_close(stream_of(engine, frames), stream_of(create_engine(model, TORCH), frames))
    warnings = [r.getMessage() for r in caplog.records if "torch.compile failed" in r.getMessage()]
    assert len(warnings) == 2, "one for each pass that is compiled on a CPU"
    assert all("no C++ compiler" in text and "trace" not in text for text in warnings)
    assert engine.problem == warnings[-1]


def test_an_error_of_the_input_is_not_taken_for_one_of_compiling(model, frames, monkeypatch):
    monkeypatch.setattr(torch, "compile", lambda plain, **_: lambda *inputs: plain(*inputs))
    engine = create_engine(model, EngineConfig(engine="torch", compile=True))
    with pytest.raises(RuntimeError):
        engine.logits(torch.zeros(1, 3, 2, 2), engine.independent(frames[0]))
    assert not engine.problem


def test_compile_is_true_or_false():
    with pytest.raises(DcfmError, match="compile is 'yes'; expected true or false"):
        EngineConfig(compile="yes")


def test_threads_are_as_before_when_a_pass_fails():
    before = torch.get_num_threads()
    with pytest.raises(ValueError, match="inside"), compute_threads(1):
        assert torch.get_num_threads() == 1
        raise ValueError("inside")
    assert torch.get_num_threads() == before


@pytest.fixture
def three_threads(model):
    """An engine whose process computes with three threads."""
    before = torch.get_num_threads()
    yield create_engine(model, EngineConfig(engine="torch", device="cpu", threads=3))
    torch.set_num_threads(before)


def number_in_a_new_thread(call):
    """With how many threads a thread computes whose first use of torch is that call."""

    def number():
        call()
        return torch.get_num_threads()

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(number).result()


def test_threads_born_beside_a_key_frame_compute_with_all_threads(three_threads, frames):
    engine, beside, inside = three_threads, three_threads.background(2), []
    independent = engine.independent(frames[0])
    common = engine.common(independent)
    logits = engine.logits(common, independent)
    plain = engine._passes.common
    engine._passes.common = lambda x: inside.append(torch.get_num_threads()) or plain(x)
    for call in (
        lambda: engine.independent(frames[0]),
        lambda: beside.common(independent),
        lambda: list(engine.common_slices(independent, 2)),
        lambda: engine.logits(common, independent),
        lambda: engine.label_map(logits, SIZE),
    ):
        with compute_threads(1):
            assert number_in_a_new_thread(call) == 3
            assert torch.get_num_threads() == 1
    assert inside == [2]


def test_a_settled_number_is_not_taken_back_by_a_key_frame_that_begins_then(three_threads):
    def begin_another():
        settle_threads(3)
        number_in_a_new_thread(lambda: torch.set_num_threads(1))

    assert number_in_a_new_thread(begin_another) == 3


def test_a_thread_that_chose_its_number_after_the_engine_keeps_it(three_threads, frames):
    torch.set_num_threads(2)
    three_threads.independent(frames[0])
    assert torch.get_num_threads() == 2


# -- graphs: what is kept of which call, with a capture that needs no GPU ------------------------------------------


class Recorded:
    """Stands in for a CUDA graph: computes anew, into the tensors of the capture."""

    def __init__(self, function, inputs):
        self.function, self.inputs = function, inputs
        self.outputs = function(*inputs)
        self.replays = 0

    def __call__(self):
        self.replays += 1
        for mine, new in zip(self.outputs, self.function(*self.inputs), strict=True):
            mine.copy_(new)
        return self.outputs


def doubled(x):
    return (2 * x,)


def test_a_function_is_captured_once_for_each_shape():
    captured = []

    def capture(function, inputs):
        captured.append(tuple(inputs[0].shape))
        return Recorded(function, inputs)

    graphs = Graphs(capture, CPU)
    for shape in ((2, 3), (2, 3), (4, 3), (2, 3)):
        x = torch.rand(shape)
        torch.testing.assert_close(graphs.run(doubled, x), doubled(x))
    assert captured == [(2, 3), (4, 3)]


def test_results_of_a_graph_are_not_changed_by_later_calls_and_inputs_are_not_kept():
    graphs = Graphs(Recorded, CPU)
    x = torch.ones(3)
    first = graphs.run(doubled, x)[0]
    x += 1
    assert first.tolist() == [2, 2, 2]
    assert graphs.run(doubled, x)[0].tolist() == [4, 4, 4]
    assert first.tolist() == [2, 2, 2]


@pytest.mark.parametrize("fault", ["raises", "lies"])
def test_what_cannot_be_captured_runs_as_it_is(fault, caplog):
    class Lying(Recorded):
        def __call__(self):
            return tuple(x + 1 for x in super().__call__())

    def capture(function, inputs):
        if fault == "raises":
            raise RuntimeError("operation not permitted when stream is capturing\nlong text")
        return Lying(function, inputs)

    graphs = Graphs(capture, CPU)
    for x in torch.rand(3, 4).unbind():
        torch.testing.assert_close(graphs.run(doubled, x), doubled(x))
    (record,) = caplog.records
    assert "doubled" in record.getMessage() and "runs without" in record.getMessage()
    assert "long text" not in record.getMessage()


def test_an_error_of_the_function_itself_is_raised():
    def broken(x):
        raise ValueError("bad shape")

    with pytest.raises(ValueError, match="bad shape"):
        Graphs(Recorded, CPU).run(broken, torch.ones(1))


def test_a_gpu_that_this_torch_has_no_code_for_is_not_taken(model, frames, monkeypatch, caplog):
    if torch.cuda.is_available():
        pytest.skip("it has")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    engine = create_engine(model, EngineConfig(engine="torch"))
    assert engine.device == "cpu" and engine.independent(frames[0]).isfinite().all()
    assert "cannot use the GPU; the CPU is used instead" in caplog.text
    monkeypatch.delenv("DCFM_ENGINE")
    monkeypatch.setattr("dcfm_ros.engines.factory.installed", lambda package: package == "openvino")
    assert choose(EngineConfig())[0] == "openvino"


def test_captures_wait_for_each_other():
    """As one capture begins by waiting for all that the GPU does, it would break another."""
    begun, go_on, order = threading.Event(), threading.Event(), []

    def slow(function, inputs):
        order.append("begin")
        begun.set()
        assert go_on.wait(10)
        order.append("end")
        return Recorded(function, inputs)

    def quick(function, inputs):
        order.append("other")
        return Recorded(function, inputs)

    x = torch.ones(2)
    with ThreadPoolExecutor() as pool:
        first = pool.submit(Graphs(slow, CPU).run, doubled, x)
        assert begun.wait(10)
        second = pool.submit(Graphs(quick, CPU).run, doubled, x)
        assert CAPTURING.locked() and not second.done()
        go_on.set()
        for result in (first.result(10), second.result(10)):
            torch.testing.assert_close(result, doubled(x))
    assert order == ["begin", "end", "other"]


class PlainLane:
    """Stands in for a CUDA stream: computes at once and on the CPU, and keeps what was asked for."""

    def __init__(self, device, *, urgent):
        self.stream = SimpleNamespace(device=device)
        self.beside = []

    def run(self, function, *inputs):
        return function(*inputs)

    def run_beside(self, other, function, *inputs):
        self.beside.append(function.__name__)
        return function(*inputs)

    def entered(self):
        return contextlib.nullcontext()


@pytest.fixture
def as_on_a_gpu(model, monkeypatch):
    """Makes engines for a GPU that is not there. What they set for all of torch is set back."""
    before = [getattr(place, name) for place, name in GPU_SETTINGS]

    def stay(folded):
        folded.to = lambda *_, **__: folded
        return folded

    monkeypatch.setattr(torch_engine, "fold", lambda model: stay(fold(model)))
    monkeypatch.setattr(torch_engine, "first_gpu", lambda: torch.device("cuda"))
    monkeypatch.setattr(torch_engine, "Lane", PlainLane)
    yield lambda precision: torch_engine.TorchEngine(model, EngineConfig(precision=precision))
    for (place, name), value in zip(GPU_SETTINGS, before, strict=True):
        setattr(place, name, value)


@pytest.mark.parametrize(("precision", "allowed"), [("auto", False), ("fp32", False), ("fp16", True)])
def test_fp32_on_a_gpu_is_all_of_it(as_on_a_gpu, precision, allowed):
    tf32 = GPU_SETTINGS[1:]
    for place, name in tf32:
        setattr(place, name, True)
    as_on_a_gpu(precision)
    assert [getattr(place, name) for place, name in tf32] == [allowed, allowed]


def test_a_background_handle_captures_all_that_a_key_frame_asks_of_it(as_on_a_gpu, frames):
    engine = as_on_a_gpu("fp32")
    engine.prepare(SIZE)
    beside = engine.background(1)
    captured = set(beside._beside.beside)
    independent = engine.independent(frames[0])
    beside.logits(beside.common(independent), independent)
    assert set(beside._beside.beside) == captured and captured


# -- on a GPU ------------------------------------------------------------------------------------------------------


@pytest.mark.gpu
@pytest.mark.parametrize("compile", [False, True])
def test_on_a_gpu_everything_is_as_on_the_cpu(model, frames, caplog, compile):
    engine = create_engine(model, EngineConfig(engine="torch", device="cuda", compile=compile))
    engine.prepare(SIZE)
    expected = stream_of(create_engine(model, EngineConfig(engine="torch", device="cpu")), frames)
    assert_close(stream_of(engine, frames), expected, atol=1e-2)
    assert_close(stream_of(engine, frames[::-1]), stream_of(engine, frames[::-1]), atol=1e-3)
    assert not caplog.records, "graphs were captured and hold"


@pytest.mark.gpu
def test_on_a_gpu_a_key_frame_beside_the_frames_is_the_same(model, frames):
    engine = create_engine(model, EngineConfig(engine="torch", device="cuda"))
    beside = engine.background(1)
    for _ in range(3):
        independent = engine.independent(frames[0])
        common = beside.common(independent)
        kept = common.clone()
        for frame in frames:
            engine.logits(common, engine.independent(frame))
        torch.testing.assert_close(common, kept)
        torch.testing.assert_close(common, engine.common(independent), atol=1e-2, rtol=1e-2)
