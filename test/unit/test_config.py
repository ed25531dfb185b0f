"""One value means the same and is refused alike in a file, on the command line, as a ROS parameter and in Python."""

from __future__ import annotations

import math
from array import array
from dataclasses import dataclass
from typing import Literal

import pytest

from dcfm_ros.config import Size, check, from_mapping, from_text, parse_size, plain_value, setting
from dcfm_ros.errors import DcfmError


@dataclass(frozen=True)
class Shelf:
    books: int = setting(3, "how many", 0, 100)
    height: float = setting(1.5, "m", 0.1, 10.0)
    wide: bool = setting(False, "or not")
    wood: str = setting("oak", "of what", choices=("oak", "pine"), removed={"elm": "'oak'"})
    room: Size = setting((0, 0), "where")
    door: str | Size = setting("none", "its door", choices=("none", "whole"))
    boards: tuple[float, ...] = setting((0.5,), "widths", 0.0, 2.0)
    label: str | None = None
    side: Literal["left", "right"] = "left"

    def __post_init__(self) -> None:
        check(self)


def ways(name, value):
    """The same value as it is given in Python, in a file and, where it is text, on the command line."""
    yield lambda: Shelf(**{name: value})
    yield lambda: from_mapping(Shelf, {name: value})
    yield lambda: from_text(Shelf, name, str(value).removeprefix("(").removesuffix(")"))


@pytest.mark.parametrize(
    ("name", "given", "value"),
    [
        ("books", 7, 7),
        ("books", 7.0, 7),
        ("height", 2, 2.0),
        ("height", 1e-1, 0.1),
        ("wide", True, True),
        ("wood", "pine", "pine"),
        ("room", [480, 360], (480, 360)),
        ("room", (480, 360), (480, 360)),
        ("room", "480x360", (480, 360)),
        ("room", "480 × 360", (480, 360)),
        ("door", "whole", "whole"),
        ("door", [20, 30], (20, 30)),
        ("door", "20x30", (20, 30)),
        ("boards", [1, 0.5], (1.0, 0.5)),
        ("side", "right", "right"),
    ],
)
def test_a_value_means_the_same_wherever_it_comes_from(name, given, value):
    for way in ways(name, given):
        result = way()
        result = getattr(result, name) if isinstance(result, Shelf) else result
        assert result == value and type(result) is type(value)


@pytest.mark.parametrize(
    ("name", "given", "message"),
    [
        ("books", 2.5, "books is 2.5; expected a whole number from 0 to 100"),
        ("books", 101, "books is 101; expected a whole number from 0 to 100"),
        ("books", True, "books is True; expected a whole number from 0 to 100"),
        ("books", "many", "books is 'many'; expected a whole number from 0 to 100"),
        ("height", math.nan, "height is (nan|'nan'); expected a number from 0.1 to 10"),
        ("height", math.inf, "height is (inf|'inf'); expected a number from 0.1 to 10"),
        ("wide", "maybe", "wide is 'maybe'; expected true or false"),
        ("wood", "ash", "wood is 'ash'; expected one of oak, pine"),
        ("wood", "elm", "wood 'elm' was removed; use 'oak'"),
        ("room", "big", "room is 'big'; expected WIDTHxHEIGHT"),
        ("room", "1x2x3", "room is '1x2x3'; expected WIDTHxHEIGHT"),
        (
            "room",
            [1, -2],
            "room is .*1, -2.*; (expected WIDTHxHEIGHT|width and height must be from 0 to 16384)",
        ),
        ("door", "0x5", "door is '0x5'; width and height must be from 1 to 16384"),
        ("door", "open", "door is 'open'; expected 'none', 'whole' or WIDTHxHEIGHT"),
        ("boards", [0.5, 3], "boards.1 is 3; expected a number from 0 to 2"),
        ("side", "top", "side is 'top'; expected one of left, right"),
    ],
)
def test_a_value_is_refused_alike_wherever_it_comes_from(name, given, message):
    for way in ways(name, given):
        with pytest.raises(DcfmError, match=f"^{message}"):
            way()


def test_text_is_read_by_the_type_of_its_field():
    assert [from_text(Shelf, "wide", text) for text in ("yes", "ON", "true", "1")] == [True] * 4
    assert from_text(Shelf, "height", "1e-1") == 0.1 and from_text(Shelf, "books", "1e2") == 100
    assert from_text(Shelf, "boards", "0.5") == (0.5,), "a single word does where a list is meant"
    with pytest.raises(DcfmError, match="^--books is 'x'; expected a whole number"):
        from_text(Shelf, "books", "x", "--books")


def test_text_stays_text():
    assert Shelf(label=None).label is None and from_mapping(Shelf, {"label": "no"}).label == "no"
    with pytest.raises(DcfmError, match="label is 3; expected text"):
        Shelf(label=3)


def test_numbers_of_yaml_1_2():
    assert plain_value("1e-4", "x") == 1e-4 and plain_value("[1e3, x]", "x") == [1000.0, "x"]
    with pytest.raises(DcfmError, match="x is '\\[', which is not valid YAML"):
        plain_value("[", "x")


def test_sizes():
    assert parse_size(array("q", [4, 5]), "x") == (4, 5), "as ROS has a list"
    for wrong in (None, 5, "", "4x", [4], [4, 5, 6], [4.5, 5], ["4", "5"], [True, 5]):
        with pytest.raises(DcfmError, match="^x is .*; expected a pair"):
            parse_size(wrong, "x", "a pair")


def test_numbers_that_are_no_floats():
    @dataclass(frozen=True)
    class Endless:
        length: float = setting(1.0, "m", 0.0)

    with pytest.raises(DcfmError, match="^length is a number of hundreds of digits; expected a number$"):
        from_mapping(Endless, {"length": 10**400})
