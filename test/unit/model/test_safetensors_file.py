"""The safetensors format: what we write others read, what others write we read, and what is wrong is refused."""

import json

import pytest
import torch

from dcfm_ros.model.safetensors_file import read_safetensors, write_safetensors

TENSORS = {
    "bytes": torch.arange(5, dtype=torch.uint8),
    "weight": torch.randn(3, 4, generator=torch.Generator().manual_seed(0)),
    "half": torch.tensor([[1.5, -2.0, 0.25]], dtype=torch.float16),
    "brain": torch.tensor([1.0, 3.0], dtype=torch.bfloat16),
    "flag": torch.tensor([True, False, True]),
    "step": torch.tensor(7),
    "none": torch.empty(0, 3),
}


def equal(left, right):
    return left.keys() == right.keys() and all(
        left[name].dtype == right[name].dtype
        and left[name].shape == right[name].shape
        and torch.equal(left[name], right[name])
        for name in left
    )


def test_round_trip(tmp_path):
    with (tmp_path / "x").open("wb") as file:
        write_safetensors(file, TENSORS, {"who": "we", "é": "ü"})
    tensors, metadata = read_safetensors(tmp_path / "x")
    assert equal(tensors, TENSORS) and metadata == {"who": "we", "é": "ü"}


def test_the_format_is_the_librarys(tmp_path):
    library = pytest.importorskip("safetensors.torch")
    with (tmp_path / "ours").open("wb") as file:
        write_safetensors(file, TENSORS, {"who": "we"})
    assert equal(library.load_file(tmp_path / "ours"), TENSORS)
    library.save_file(TENSORS, tmp_path / "theirs", {"who": "they"})
    tensors, metadata = read_safetensors(tmp_path / "theirs")
    assert equal(tensors, TENSORS) and metadata == {"who": "they"}


def write(path, header, data=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)
    return path


def entry(begin, end, shape=(1,), dtype="F32"):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": [begin, end]}


@pytest.mark.parametrize(
    ("header", "data", "why"),
    [
        (b"[]", b"", "not a JSON object"),
        (b"{", b"", "header is cut off|Expecting"),
        (b"\xff\xfe{}", b"", "decode"),
        (b"[" * 100_000, b"", "nested too deeply"),
        ({"x": 3}, b"", "'x' cannot be read"),
        ({"x": entry(0, 4, dtype="F4")}, bytes(4), "'x' cannot be read"),
        ({"x": entry(0, 4, shape=(2,))}, bytes(4), "'x' is 4 bytes long"),
        ({"x": entry(0, 4, shape=(-1, -1))}, bytes(4), "numbers that are not whole and positive"),
        ({"x": entry(0, 4, shape=(True,))}, bytes(4), "numbers that are not whole and positive"),
        ({"x": entry(0, 4, shape=(2**62, 4))}, bytes(4), "'x' is 4 bytes long"),
        ({"x": entry(0, 0, shape=(2**63, 0))}, b"", "'x' has a shape that no"),
        ({"x": entry(0, 0, shape=(2**30, 0, 2**30, 2**30))}, b"", "'x' has a shape that no"),
        ({"x": entry(0, 0, shape=(0,) * 100)}, b"", "'x' has 100 dimensions"),
        (b'{"x": 1, "x": 1}', b"", "'x' is given twice"),
        ({"x": entry(4, 8)}, bytes(8), "gap or an overlap before tensor 'x'"),
        ({"x": entry(0, 4), "y": entry(0, 4)}, bytes(4), "gap or an overlap before tensor 'y'"),
        ({"x": entry(0, 4)}, bytes(3), "describes 4 bytes of tensors, the file has 3"),
        ({"x": entry(0, 4)}, bytes(9), "describes 4 bytes of tensors, the file has 9"),
        ({"__metadata__": {"a": 1}}, b"", "metadata does not map names to texts"),
        ({"__metadata__": []}, b"", "metadata does not map names to texts"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path, header, data, why):
    with pytest.raises(ValueError, match=why):
        read_safetensors(write(tmp_path / "x", header, data))


@pytest.mark.parametrize("content", [b"", b"\0" * 7, b"\0" * 8, (2**63).to_bytes(8, "little") + b"{}"])
def test_a_length_beyond_the_file_is_refused(tmp_path, content):
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(ValueError, match="header is cut off"):
        read_safetensors(tmp_path / "x")


def test_a_sparse_file_of_a_terabyte_is_refused_unread(tmp_path):
    path = write(tmp_path / "x", {"x": entry(0, 2**40, shape=(2**38,))})
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size + 2**40)
    with pytest.raises(ValueError, match="more than any model has|no model's tensor has"):
        read_safetensors(path)


def test_tensors_are_aligned_and_writable(tmp_path):
    text = json.dumps({"x": entry(0, 1, dtype="U8"), "y": entry(1, 5)}).encode()
    write(tmp_path / "x", text, bytes(5))
    tensors, _ = read_safetensors(tmp_path / "x")
    tensors["y"] += 1.0
    assert (
        tensors["y"].data_ptr() % 4 == 0 and tensors["y"].tolist() == [1.0] and tensors["x"].tolist() == [0]
    )
