"""The public interface: what `from dcfm_ros import ...` offers, and what that costs who only wants the version."""

import ast
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import dcfm_ros
from dcfm_ros.engines.torch.engine import TorchEngine

INIT = Path(dcfm_ros.__file__)


@pytest.mark.parametrize("name", dcfm_ros.__all__)
def test_every_public_name_is_there_and_has_a_docstring(name):
    value = getattr(dcfm_ros, name)
    assert name in dir(dcfm_ros)
    assert name == "__version__" or value.__doc__


def test_what_type_checkers_see_is_what_is_imported():
    seen = {}
    for node in ast.walk(ast.parse(INIT.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("dcfm_ros."):
            seen |= {alias.name: node.module for alias in node.names}
    assert seen == {**dcfm_ros._HOMES, "__version__": "dcfm_ros.version"}
    assert sorted(seen) == dcfm_ros.__all__
    assert (INIT.parent / "py.typed").is_file()


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="'dcfm_ros' has no attribute 'Nonsense'"):
        dcfm_ros.Nonsense  # noqa: B018
    with pytest.raises(ImportError, match="Nonsense"):
        from dcfm_ros import Nonsense  # noqa: F401


def test_the_package_alone_imports_no_torch():
    code = (
        "import sys, dcfm_ros; dir(dcfm_ros); from dcfm_ros import __version__, StreamConfig, EngineConfig\n"
        "print({'torch', 'numba', 'cv2'} & set(sys.modules))"
    )
    run = [sys.executable, "-c", code]
    result = subprocess.run(run, capture_output=True, text=True, check=True, cwd=INIT.parents[1], timeout=100)
    assert result.stdout.strip() == "set()"


def test_a_segmenter_without_a_model_takes_the_one_that_comes_along():
    with dcfm_ros.StreamSegmenter() as stream:
        assert stream.engine.card.input_size == (512, 384)
        assert isinstance(stream.engine, TorchEngine)  # DCFM_ENGINE says so, in the tests
        assert stream.step(np.zeros((90, 120, 3), np.uint8), 0).mask.shape == (90, 120)
