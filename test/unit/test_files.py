"""Files appear whole or not at all, never over what is needed; JSON is read strictly."""

import errno
import os

import pytest

from dcfm_ros.errors import DcfmError
from dcfm_ros.files import check_outputs, strict_json, whole_file


def test_a_file_is_there_when_all_of_it_is_written(tmp_path):
    path = tmp_path / "new" / "x.bin"
    with whole_file(path) as file:
        file.write(b"one")
        assert not path.exists()
    assert path.read_bytes() == b"one"
    assert [item.name for item in path.parent.iterdir()] == ["x.bin"]


@pytest.mark.parametrize("failure", [KeyboardInterrupt, ValueError])
def test_a_failure_leaves_what_was_there(tmp_path, failure):
    path = tmp_path / "x"
    path.write_bytes(b"before")
    with pytest.raises(failure), whole_file(path) as file:
        file.write(b"aft")
        raise failure
    assert path.read_bytes() == b"before" and len(list(tmp_path.iterdir())) == 1


def test_a_full_disk_is_told_with_the_name_that_was_asked_for(tmp_path):
    with pytest.raises(OSError, match="No space") as caught, whole_file(tmp_path / "x"):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert caught.value.filename == str(tmp_path / "x") and caught.value.errno == errno.ENOSPC
    assert list(tmp_path.iterdir()) == []


def test_a_link_is_replaced_and_not_followed(tmp_path):
    (tmp_path / "other").write_bytes(b"mine")
    (tmp_path / "x").symlink_to(tmp_path / "other")
    with whole_file(tmp_path / "x") as file:
        file.write(b"new")
    assert (tmp_path / "other").read_bytes() == b"mine" and (tmp_path / "x").read_bytes() == b"new"


def test_a_long_name_can_be_written(tmp_path):
    path = tmp_path / ("x" * 250)
    with whole_file(path) as file:
        file.write(b"1")
    assert path.exists()


def test_outputs_that_can_be_written_pass(tmp_path):
    check_outputs([tmp_path / "new" / "a", tmp_path / "b"], force=False, read=[tmp_path])
    assert [path.name for path in tmp_path.rglob("*")] == ["new"]


@pytest.mark.parametrize("force", [False, True])
def test_what_is_read_is_never_written_over(tmp_path, force):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "image.png").write_bytes(b"1")
    (tmp_path / "weights").write_bytes(b"2")
    (tmp_path / "link").symlink_to(tmp_path / "weights")
    read = [tmp_path / "data", tmp_path / "weights"]
    for path in (tmp_path / "weights", tmp_path / "link", tmp_path / "data" / "image.png"):
        with pytest.raises(DcfmError, match="is read by this command"):
            check_outputs([path], force=force, read=read)


def test_an_existing_file_needs_force(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("mine")
    with pytest.raises(DcfmError, match=r"notes\.txt exists already; add --force"):
        check_outputs([path], force=False)
    check_outputs([path], force=True)
    assert path.read_text() == "mine"


def test_a_folder_and_a_place_that_refuses_are_told(tmp_path):
    with pytest.raises(DcfmError, match="is a folder"):
        check_outputs([tmp_path], force=True)
    (tmp_path / "file").write_text("")
    with pytest.raises(DcfmError, match=r"cannot be written: (Not a directory|File exists)"):
        check_outputs([tmp_path / "file" / "x"], force=True)
    if os.path.exists("/proc/self"):
        with pytest.raises(DcfmError, match=r"/proc/x\.json cannot be written"):
            check_outputs([type(tmp_path)("/proc/x.json")], force=True)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('{"a": 1, "b": 2, "a": 3}', "'a' is given twice"),
        ("[NaN]", "NaN is not a number"),
        ('{"x": -Infinity}', "-Infinity is not a number"),
        ("[" * 100_000, "nested too deeply"),
        ('{"a":' * 100_000, "nested too deeply"),
        ('{"x": 1e999}', "1e999 is not a number"),
        ("{" + "".join(f'"{i}": 0, ' for i in range(200_000)) + '"7": 1}', "'7' is given twice"),
        ("{", "Expecting"),
        (b"\xff\xfe", "decode|Expecting"),
    ],
)
def test_what_is_not_json_is_refused(text, why):
    with pytest.raises(ValueError, match=why):
        strict_json(text)


def test_json_is_read():
    assert strict_json(b'{"a": [1, 2.5, null, {"b": "\xc3\xbc"}]}') == {"a": [1, 2.5, None, {"b": "ü"}]}
