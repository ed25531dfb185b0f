"""The fused CUDA kernel, run by Triton's interpreter: its arithmetic, without a GPU."""

import importlib.util

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from test_label_map import KINDS, assert_labels, logits_of, upsampled

from dcfm_ros.arrays import UNLABELLED

triton = pytest.importorskip("triton")


@pytest.fixture(scope="module")
def label_pixels():
    """Ours, of a copy of the module whose kernel is interpreted: Triton decides that when it meets a kernel."""
    spec = importlib.util.find_spec("dcfm_ros.engines.label_map.triton_kernel")
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRITON_INTERPRET", "1")
        spec.loader.exec_module(module)
        yield module.label_pixels


@pytest.mark.parametrize("capability", [72, 87, 90], ids=["Xavier", "Orin", "H100"])
@pytest.mark.parametrize("logits", ["fp32", "fp16"])
@pytest.mark.parametrize("confidence", [False, True])
def test_it_compiles_for_the_gpus_of_robots(capability, logits, confidence):
    from dcfm_ros.engines.label_map.triton_kernel import BLOCK, label_kernel

    kinds = {"logits": f"*{logits}", "mask": "*u8", "share": "*u8", "scale_y": "fp32", "scale_x": "fp32"}
    kinds |= {"RATE": "constexpr", "BLOCK": "constexpr"}
    source = triton.compiler.ASTSource(
        label_kernel,
        {name: kinds.get(name, "i32") for name in label_kernel.arg_names},
        {"RATE": confidence, "BLOCK": BLOCK},
    )
    target = triton.backends.compiler.GPUTarget("cuda", capability, 32)
    compiled = triton.compile(source, target=target, options={"enable_fp_fusion": False})
    assert len(compiled.asm["cubin"]) > 1000


shapes = st.tuples(st.integers(1, 9), st.integers(1, 9), st.integers(1, 9), st.integers(1, 600))


@settings(max_examples=30, deadline=None)
@given(
    kind=st.sampled_from(KINDS), classes=st.sampled_from((1, 2, 19)), shape=shapes, seed=st.integers(0, 999)
)
def test_it_labels_any_logits_at_any_size(label_pixels, kind, classes, shape, seed):
    height, width, out_height, out_width = shape
    logits, size = logits_of(kind, classes, height, width, seed), (out_width, out_height)
    mask, share = label_pixels(logits, size, confidence=True)
    assert_labels(mask.numpy(), logits, size)
    expected = 255 * upsampled(logits, size).softmax(0).max(0).values
    assert (share - expected).abs().max() < 0.6
    assert torch.equal(mask, label_pixels(logits, size)[0])


def test_255_classes_keep_their_ids(label_pixels):
    logits = torch.eye(255)[:, None]
    assert torch.equal(label_pixels(logits, (255, 1))[0][0].long(), torch.arange(255))


@pytest.mark.parametrize("poison", [np.nan, np.inf, -np.inf])
def test_where_logits_are_not_finite_pixels_are_unlabelled(label_pixels, poison):
    logits = logits_of("random", 5, 6, 6, 0)
    logits[2, 3, 3] = poison
    mask, share = label_pixels(logits, (12, 12), confidence=True)
    expected = np.zeros((12, 12), bool)
    expected[5:9, 5:9] = True  # half a pixel is a quarter of the way from one logit to the next
    assert np.array_equal(mask == UNLABELLED, expected)
    assert (share[mask == UNLABELLED] == 0).all() and (share[mask != UNLABELLED] > 0).all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_logits_of_half_precision_and_any_strides(label_pixels, dtype):
    logits = logits_of("random", 5, 8, 9, 0).to(dtype)
    channel_last = logits.permute(1, 2, 0).contiguous().permute(2, 0, 1)
    assert_labels(label_pixels(channel_last, (40, 30))[0].numpy(), logits.float(), (40, 30))
