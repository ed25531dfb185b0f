"""Engines that run exported graphs: the labels are torch's and the published implementation's."""

import gc
import sys
import weakref
from dataclasses import replace
from importlib.metadata import PackageNotFoundError
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from conftest import SIZE

from dcfm_ros.engines import factory as factory_module
from dcfm_ros.engines.base import MAX_PIECES
from dcfm_ros.engines.config import EngineConfig
from dcfm_ros.engines.factory import create_engine
from dcfm_ros.engines.fallback import FallbackEngine
from dcfm_ros.engines.graph.engine import KEPT_SETS, GraphEngine
from dcfm_ros.engines.graph.onnxruntime import DeviceRunner, DeviceValues, OnnxRuntimeLibrary
from dcfm_ros.engines.graph.openvino import OpenVinoLibrary
from dcfm_ros.engines.torch.engine import TorchEngine
from dcfm_ros.errors import DcfmError
from dcfm_ros.model.checkpoint import save_model
from dcfm_ros.model.config import ModelConfig
from dcfm_ros.model.dcfm import build_model

LIBRARIES = ("openvino", "onnxruntime")
CASES = ("mitb0_camvid", "mitb0_vit3_head2", "mitb1_cityscapes", "pspnet18_cityscapes")


def needs(*packages):
    for package in packages:
        pytest.importorskip(package)


@pytest.fixture(scope="module", params=LIBRARIES)
def engine(request, model):
    needs(request.param)
    return create_engine(model, EngineConfig(engine=request.param))


@pytest.fixture(scope="module")
def plain(model):
    return create_engine(model, EngineConfig(engine="torch"))


def labels(engine, frames, size=SIZE):
    """The masks of frames that all borrow the first one's common feature."""
    common = engine.common(engine.independent(frames[0]))
    return [engine.label_map(engine.logits(common, engine.independent(frame)), size)[0] for frame in frames]


@pytest.mark.parametrize("library", ["torch", *LIBRARIES])
@pytest.mark.parametrize("name", CASES)
def test_reference_cases(reference_root, reference_model, library, name):
    if library != "torch":
        needs(library)
    model, config = reference_model(name)
    arrays = np.load(reference_root / "cases" / f"{name}.npz")
    engine = create_engine(model, EngineConfig(engine=library))
    common = None
    for i, frame in enumerate(arrays["frames"]):
        independent = engine.independent(frame)
        if i % config["key_interval"] == 0:
            common = engine.common(independent)
        mask, _ = engine.label_map(engine.logits(common, independent), (160, 96))
        assert (mask == arrays["labels"][i]).mean() >= 0.9999
    assert engine.name == library and not engine.problem


def test_labels_are_torchs(engine, plain, frames):
    for ours, expected in zip(labels(engine, frames), labels(plain, frames), strict=True):
        assert len(np.unique(expected)) > 1
        assert (ours == expected).mean() >= 0.999


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize(
    ("backbone", "channels"), [("efficientnet_lite0", 64), ("resnet18", 64), ("resnet18", 0), ("mit_b0", 64)]
)
def test_every_kind_of_backbone_runs_whole_and_in_pieces(library, backbone, channels, frames, finish):
    needs(library)
    torch.manual_seed(0)
    built = build_model(ModelConfig(backbone=backbone, num_classes=5, common_channels=channels))
    engine = create_engine(built, EngineConfig(engine=library))
    torchs = create_engine(built, EngineConfig(engine="torch", device="cpu"))
    for ours, expected in zip(labels(engine, frames[:2]), labels(torchs, frames[:2]), strict=True):
        assert (ours == expected).mean() >= 0.999
    independent = engine.independent(frames[0])
    pauses, sliced = finish(engine.common_slices(independent, 4))
    assert pauses
    np.testing.assert_allclose(sliced.values, engine.common(independent).values, atol=1e-4)


def test_results_are_not_changed_by_later_calls(engine, frames):
    common = engine.common(engine.independent(frames[0]))
    independent = engine.independent(frames[1])
    logits = engine.logits(common, independent)
    before = independent.values.copy(), logits.values.copy(), common.values.copy()
    engine.common(engine.independent(frames[2]))
    engine.logits(common, engine.independent(frames[3]))
    for value, copied in zip((independent, logits, common), before, strict=True):
        assert np.array_equal(value.values, copied)


def test_the_image_may_be_read_only_padded_or_reused(engine, frames):
    expected = engine.independent(frames[0]).values
    message = np.frombuffer(frames[0].tobytes(), np.uint8).reshape(frames[0].shape)
    padded = np.zeros((SIZE[1], SIZE[0] + 5, 3), np.uint8)[:, : SIZE[0]]
    padded[:] = frames[0]
    results = [engine.independent(image) for image in (message, padded)]
    padded[:] = 0
    for result in results:
        np.testing.assert_allclose(result.values, expected, atol=1e-5)


def test_background_and_slices_give_the_same_feature(engine, frames, finish):
    independent = engine.independent(frames[0])
    expected = engine.common(independent).values
    beside = engine.background(1)
    np.testing.assert_allclose(beside.common(independent).values, expected, atol=1e-5)
    pauses, sliced = finish(engine.common_slices(independent, 4))
    assert pauses
    np.testing.assert_allclose(sliced.values, expected, atol=1e-5)
    with pytest.raises(DcfmError, match="threads is 0"):
        engine.background(0)


def test_what_cannot_be_cut_is_one_piece(model, frames, monkeypatch, caplog, finish):
    needs("onnxruntime")
    engine = create_engine(model, EngineConfig(engine="onnxruntime"))
    independent = engine.independent(frames[0])
    monkeypatch.setattr("dcfm_ros.engines.graph.onnx_cut._shape", lambda value: {}["unknown"])
    pauses, common = finish(engine.common_slices(independent, 4))
    assert pauses == 0 and "in one piece: KeyError: 'unknown'" in caplog.text
    assert engine.name == "onnxruntime" and not engine.problem
    assert np.array_equal(common.values, engine.common(independent).values)


def test_numbers_of_pieces_share_what_is_compiled(model, frames, monkeypatch, finish):
    """Each graph has threads and memory of its own, and a stream changes the number with the load of the machine."""
    needs("openvino")
    engine = create_engine(model, EngineConfig(engine="openvino"))
    cuts = []
    load_pieces = OpenVinoLibrary.load_pieces

    def spy(*arguments):
        cuts.append(load_pieces(*arguments))
        return cuts[-1]

    monkeypatch.setattr(OpenVinoLibrary, "load_pieces", spy)
    independent = engine.independent(frames[0])
    features = [finish(engine.common_slices(independent, pieces))[1] for pieces in (2, 4, 8, 4, 32)]
    ((*pieces,),) = cuts
    assert 2 < len(pieces) <= MAX_PIECES
    assert all(np.array_equal(feature.values, features[0].values) for feature in features)


def test_a_background_handle_loads_no_more_than_it_runs(model, frames, monkeypatch, finish):
    needs("onnxruntime")
    engine = create_engine(model, EngineConfig(engine="onnxruntime"))
    engine.prepare(SIZE)
    loaded = []
    load = OnnxRuntimeLibrary.load

    def spy(self, graph, folder, spec, threads):
        loaded.append((spec.name, threads))
        return load(self, graph, folder, spec, threads)

    monkeypatch.setattr(OnnxRuntimeLibrary, "load", spy)
    beside = engine.background(1)
    independent = engine.independent(frames[0])
    common = finish(beside.common_slices(independent, 4))[1]
    beside.logits(common, independent)
    beside.common(independent)
    assert loaded == [("common", 1)]


def test_without_onnx_key_frames_are_one_piece(model, frames, monkeypatch, caplog, finish):
    needs("onnxruntime")
    engine = create_engine(model, EngineConfig(engine="onnxruntime"))
    independent = engine.independent(frames[0])
    monkeypatch.setitem(sys.modules, "onnx", None)
    pauses, common = finish(engine.common_slices(independent, 4))
    assert pauses == 0 and "pip install onnx" in caplog.text and not engine.problem
    assert np.array_equal(common.values, engine.common(independent).values)


def test_each_input_size_has_its_own_graphs(engine, plain, frames):
    smaller = [frame[:33, :49] for frame in frames]
    for ours, expected in zip(labels(engine, smaller), labels(plain, smaller), strict=True):
        assert (ours == expected).mean() >= 0.999


def test_several_threads_share_an_engine(engine, frames):
    from concurrent.futures import ThreadPoolExecutor

    common = engine.common(engine.independent(frames[0]))

    def segment(frame):
        return engine.logits(common, engine.independent(frame)).values

    expected = [segment(frame) for frame in frames]
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda i: segment(frames[i % 4]), range(16)))
    for i, result in enumerate(results):
        np.testing.assert_allclose(result, expected[i % 4], atol=1e-5)


def test_logits_add_up(engine, frames):
    independent = engine.independent(frames[0])
    logits = engine.logits(engine.common(independent), independent)
    mask, _ = engine.label_map(logits, SIZE)
    assert np.array_equal(engine.label_map(logits + logits, SIZE)[0], mask)


def test_training_a_model_further_does_not_change_the_engine(frames):
    needs("onnxruntime")
    from dcfm_ros.model.config import ModelConfig

    model = build_model(ModelConfig(independent_feature="stride4", num_classes=5))
    engine = create_engine(model, EngineConfig(engine="onnxruntime"))
    next(model.classifier.parameters()).data.zero_()
    assert (
        np.abs(
            engine.logits(engine.common(engine.independent(frames[0])), engine.independent(frames[0])).values
        ).max()
        > 0
    )


def test_the_second_start_builds_nothing(model, frames, monkeypatch):
    needs("onnxruntime")
    create_engine(model, EngineConfig(engine="onnxruntime")).prepare(SIZE)
    monkeypatch.setattr("dcfm_ros.engines.graph.engine.export_graphs", None)
    again = create_engine(model, EngineConfig(engine="onnxruntime"))
    again.prepare(SIZE)
    assert not again.problem and again.name == "onnxruntime"


def test_other_code_finds_no_graphs_of_this_one(model, monkeypatch, caplog):
    needs("onnxruntime")
    create_engine(model, EngineConfig(engine="onnxruntime")).prepare(SIZE)
    caplog.clear()
    monkeypatch.setattr("dcfm_ros.engines.graph.engine.code_digest", lambda *rooms: "another")
    create_engine(model, EngineConfig(engine="onnxruntime")).prepare(SIZE)
    assert "exporting" in caplog.text and "building" in caplog.text


def break_(monkeypatch, method):
    def fail(*arguments):
        raise RuntimeError("the device is gone")

    monkeypatch.setattr(GraphEngine, method, fail)


def test_when_an_engine_fails_torch_goes_on_with_its_features(model, plain, frames, monkeypatch, caplog):
    needs("onnxruntime")
    engine = create_engine(model, EngineConfig(engine="onnxruntime"))
    beside = engine.background(1)
    common = engine.common(engine.independent(frames[0]))
    assert (engine.name, engine.problem) == ("onnxruntime", "")
    break_(monkeypatch, "independent")
    expected = labels(plain, frames)
    for frame, mask in zip(frames, expected, strict=True):
        independent = engine.independent(frame)
        assert (engine.label_map(engine.logits(common, independent), SIZE)[0] == mask).mean() >= 0.999
    assert engine.name == beside.name == "torch"
    for handle in (engine, beside):
        assert "onnxruntime (fp32 on cpu) failed" in handle.problem and "the device is gone" in handle.problem
    assert caplog.text.count("torch takes over, which is slower") == 1
    np.testing.assert_allclose(
        beside.common(independent).numpy(), plain.common(plain.independent(frames[3])).numpy(), atol=1e-4
    )


@pytest.mark.parametrize("method", ["independent", "common", "logits", "common_slices"])
def test_any_part_may_fail(model, plain, frames, monkeypatch, method, finish):
    needs("onnxruntime")
    engine = create_engine(model, EngineConfig(engine="onnxruntime"))
    independent = engine.independent(frames[0])
    break_(monkeypatch, method)
    _, common = finish(engine.common_slices(independent, 3))
    common = engine.common(independent) if method == "common" else common
    mask, _ = engine.label_map(engine.logits(common, engine.independent(frames[1])), SIZE)
    assert (mask == labels(plain, frames)[1]).mean() >= 0.999
    assert engine.name == "torch" and engine.problem


def test_an_engine_that_fails_at_start_is_torch(model, frames, monkeypatch, caplog):
    needs("onnxruntime")
    monkeypatch.setattr("dcfm_ros.engines.graph.engine.cached", lambda *args: 1 / 0)
    engine = create_engine(model, EngineConfig(engine="onnxruntime"))
    engine.prepare(SIZE)
    assert engine.name == "torch" and "ZeroDivisionError" in engine.problem
    assert labels(engine, frames)


@pytest.mark.parametrize(("device", "expected"), [("cpu", "cpu"), ("cuda:1", "cuda:1"), ("gpu.1", "auto")])
def test_torch_takes_over_on_the_same_device(model, frames, monkeypatch, device, expected):
    needs("onnxruntime")
    devices = []

    def spy(model, config):
        devices.append(config.device)
        return TorchEngine(model, replace(config, device="cpu"))

    monkeypatch.setattr("dcfm_ros.engines.fallback.TorchEngine", spy)
    monkeypatch.setattr("dcfm_ros.engines.graph.engine.cached", lambda *args: 1 / 0)
    graphs = create_engine(model, EngineConfig(engine="onnxruntime", device="cpu"))._engine
    FallbackEngine(graphs, model, EngineConfig(device=device)).independent(frames[0])
    assert devices == [expected]


def test_graphs_that_compute_something_else_are_not_used(model, frames, monkeypatch):
    needs("onnxruntime")
    from dcfm_ros.engines.graph.export import Graph

    logits = Graph.logits
    monkeypatch.setattr(Graph, "logits", lambda self, *inputs: -logits(self, *inputs))
    engine = create_engine(model, EngineConfig(engine="onnxruntime"))
    engine.prepare((64, 64))
    assert engine.name == "torch" and "of the pixels as torch does" in engine.problem


@pytest.mark.parametrize(("package", "engine"), [("openvino", "openvino"), ("onnxruntime", "onnxruntime")])
def test_a_missing_library_is_a_plain_message(model, monkeypatch, package, engine):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(DcfmError, match=f"needs the package '{package}': pip install {package}"):
        create_engine(model, EngineConfig(engine=engine))


def test_tensorrt_says_what_it_needs(model):
    needs("onnxruntime")
    import onnxruntime

    if "TensorrtExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("it is here")
    with pytest.raises(DcfmError, match="pip install onnxruntime-gpu"):
        create_engine(model, EngineConfig(engine="tensorrt"))


def test_tensorrt_engines_are_kept_for_one_version_and_one_gpu(monkeypatch):
    runtime = SimpleNamespace(
        __version__="1.20",
        get_available_providers=lambda: ["TensorrtExecutionProvider", "CUDAExecutionProvider"],
    )
    monkeypatch.setitem(sys.modules, "onnxruntime", runtime)

    class Driver:
        def cuInit(self, flags):
            return 0

        def cuDeviceGet(self, device, index):
            device._obj.value = index + 5
            return 0 if index < 2 else 101

        def cuDeviceGetName(self, name, length, device):
            name.value = f"Orin {device.value}".encode()
            return 0

    class Packages(dict):
        def __missing__(self, name):
            raise PackageNotFoundError(name)

    packages = Packages()
    libraries = {
        "libcuda.so.1": Driver(),
        "libnvinfer.so.10": SimpleNamespace(getInferLibVersion=lambda: 100300),
    }

    def load(name):
        if name not in libraries:
            raise OSError(f"{name}: cannot open shared object file")
        return libraries[name]

    monkeypatch.setattr("ctypes.CDLL", load)

    def version(device):
        return OnnxRuntimeLibrary("tensorrt", EngineConfig(device=device)).version

    assert version("cuda") == "1.20, TensorRT 100300, Orin 5"
    assert version("cuda:1") == "1.20, TensorRT 100300, Orin 6"
    assert version("cuda:2") == "1.20, TensorRT 100300, unknown"
    libraries.clear()
    monkeypatch.setattr("importlib.metadata.version", packages.__getitem__)
    packages["tensorrt_cu12"] = "10.3.0"
    assert version("cuda") == "1.20, TensorRT 10.3.0, unknown"
    packages.clear()
    assert version("cuda") == "1.20, TensorRT unknown, unknown"


@pytest.mark.parametrize(("precision", "wanted"), [("fp16", {"fp16"}), ("bf16", {"bf16"}), ("fp32", set())])
def test_tensorrt_is_asked_for_the_precision(monkeypatch, tmp_path, precision, wanted):
    """ONNX Runtime refuses options that it does not know, and the older ones do not know bf16."""
    runtime = SimpleNamespace(
        __version__="1.18",
        get_available_providers=lambda: ["TensorrtExecutionProvider", "CUDAExecutionProvider"],
    )
    monkeypatch.setitem(sys.modules, "onnxruntime", runtime)
    library = OnnxRuntimeLibrary("tensorrt", EngineConfig(precision=precision, device="cuda:1"))
    (name, options), (_, cuda), last = library._providers(tmp_path)
    assert (name, last) == ("TensorrtExecutionProvider", "CPUExecutionProvider")
    assert {p for p in ("fp16", "bf16") if options.get(f"trt_{p}_enable")} == wanted
    assert ("trt_bf16_enable" in options) is (precision == "bf16")
    assert options["trt_engine_cache_path"] == str(tmp_path)
    assert options["device_id"] == cuda["device_id"] == 1


def test_why_a_provider_does_not_start_is_told(monkeypatch, tmp_path):
    class Session:
        def __init__(self, graph, options, *, providers, enable_fallback):
            assert not enable_fallback, "it would go on on the CPU"
            raise RuntimeError("unknown option 'use_tf32'")

    runtime = SimpleNamespace(
        __version__="1.20",
        get_available_providers=lambda: ["CUDAExecutionProvider"],
        InferenceSession=Session,
    )
    monkeypatch.setitem(sys.modules, "onnxruntime", runtime)
    library = OnnxRuntimeLibrary("onnxruntime", EngineConfig(device="cuda"))
    with pytest.raises(DcfmError, match="could not start its CUDA.*unknown option 'use_tf32'"):
        library._session(tmp_path / "graph.onnx", tmp_path, None)


@pytest.fixture
def on_device(monkeypatch):
    """ONNX Runtime keeps features as it does on a GPU; on the CPU, which to it is a device like any other."""
    needs("onnxruntime")

    def load(self, graph, folder, spec, threads, rows=0):
        session = self._session(graph, folder, self._options(threads, rows))
        return DeviceRunner(self._runtime.OrtValue, session, spec, "cpu", 0)

    monkeypatch.setattr(OnnxRuntimeLibrary, "load", load)


def test_features_stay_on_the_device(model, plain, frames, on_device):
    engine = create_engine(model, EngineConfig(engine="onnxruntime"))
    independent = engine.independent(frames[0])
    common = engine.common(independent)
    assert all(isinstance(feature.values, DeviceValues) for feature in (independent, common))
    before = np.array(common.values)
    for ours, expected in zip(labels(engine, frames), labels(plain, frames), strict=True):
        assert (ours == expected).mean() >= 0.999
    assert np.array_equal(common.values, before)
    assert not engine.problem


def test_features_come_from_the_device_when_they_are_asked_for(model, plain, frames, on_device, monkeypatch):
    engine = create_engine(model, EngineConfig(engine="onnxruntime"))
    independent = engine.independent(frames[0])
    common = engine.common(independent)
    elsewhere = replace(common, values=np.asarray(common.values))
    logits = engine.logits(common, independent)
    assert np.array_equal(engine.logits(elsewhere, independent).values, logits.values)
    assert np.array_equal((logits + logits).values, 2 * np.asarray(logits.values))
    break_(monkeypatch, "logits")
    mask, _ = engine.label_map(engine.logits(common, independent), SIZE)
    assert engine.name == "torch"
    assert (mask == labels(plain, frames)[0]).mean() >= 0.999


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"engine": "openvino", "device": "gpu.7"}, "device 'gpu.7' does not exist"),
        ({"engine": "onnxruntime", "device": "cuda"}, "CUDAExecutionProvider"),
        ({"engine": "onnxruntime", "precision": "int8"}, "it offers fp32"),
        ({"engine": "torch", "precision": "int8"}, "precision 'int8' needs engine 'openvino'"),
    ],
)
def test_what_is_not_to_be_had_is_named(model, config, message):
    needs(*({config["engine"]} & set(LIBRARIES)))
    with pytest.raises(DcfmError, match=message):
        create_engine(model, EngineConfig(**config))


def test_bf16_is_close(model, frames):
    needs("openvino")
    try:
        engine = create_engine(model, EngineConfig(engine="openvino", precision="bf16"))
    except DcfmError as error:
        pytest.skip(str(error))
    expected = labels(create_engine(model, EngineConfig(engine="torch")), frames)
    for ours, mask in zip(labels(engine, frames), expected, strict=True):
        assert (ours == mask).mean() >= 0.95
    assert engine.precision == "bf16" and not engine.problem


def test_auto(model, tmp_path, monkeypatch):
    """The rule, whatever is installed here."""
    monkeypatch.setenv("DCFM_ENGINE", "onnxruntime")
    assert factory_module.choose(EngineConfig())[0] == "onnxruntime"
    monkeypatch.delenv("DCFM_ENGINE")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    installed = {"openvino", "onnxruntime"}
    monkeypatch.setattr(factory_module, "installed", lambda package: package in installed)
    config = EngineConfig()
    assert factory_module.choose(config)[0] == "openvino"
    assert factory_module.choose(EngineConfig(device="cuda"))[0] == "torch"
    installed.discard("openvino")
    assert factory_module.choose(config)[0] == "onnxruntime"
    assert factory_module.choose(EngineConfig(precision="bf16"))[0] == "torch"
    installed.clear()
    name, why = factory_module.choose(config)
    assert name == "torch" and "pip install openvino" in why


def test_auto_takes_the_fastest_engine_and_says_so(model, tmp_path, monkeypatch, caplog):
    needs("openvino")
    monkeypatch.delenv("DCFM_ENGINE")
    save_model(model, tmp_path / "model.safetensors")
    for given in (model, tmp_path / "model.safetensors"):
        caplog.clear()
        with caplog.at_level("INFO"):
            engine = create_engine(given, EngineConfig(device="cpu"))
        assert engine.name == "openvino" and "engine openvino (the fastest on a CPU" in caplog.text


class Graphs(dict):
    """Those of one size, which can be watched for being let go."""


def test_of_many_sizes_only_those_used_last_stay_in_memory(model, monkeypatch):
    library = SimpleNamespace(name="library", device="cpu", precision="fp32")
    engine = GraphEngine(model, EngineConfig(), library)
    alive, loaded = weakref.WeakValueDictionary(), []

    def load(size, threads):
        loaded.append(size)
        alive[size] = graphs = Graphs.fromkeys(("independent", "common", "logits"))
        return graphs

    monkeypatch.setattr(engine, "_load", load)
    for width in range(32, 32 * 25, 32):
        engine.prepare((width, 64))
        engine.prepare((32, 64))  # another camera's, all the time
    gc.collect()
    assert len(alive) <= KEPT_SETS and (32, 64) in alive
    assert loaded.count((32, 64)) == 1


@pytest.mark.parametrize(
    "error, is_fault", [(DcfmError("needs the package 'nncf'"), False), (RuntimeError("broken"), True)]
)
def test_only_a_librarys_failure_is_logged_with_its_traceback(model, caplog, error, is_fault):
    class Failing:
        name, precision, device, card = "openvino", "int8", "cpu", model.card

        def prepare(self, size, pieces=False):
            raise error

    FallbackEngine(Failing(), model, EngineConfig(device="cpu")).prepare(SIZE)
    (record,) = [record for record in caplog.records if record.levelname == "ERROR"]
    assert str(error) in record.getMessage() and bool(record.exc_info) is is_fault
