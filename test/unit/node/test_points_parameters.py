"""Parameters of dcfm_points that make no sense are refused by their names."""

import pytest

from dcfm_ros.errors import DcfmError
from dcfm_ros.node.points.parameters import PointsConfig, ids_of, table


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"source": "lidar"}, "source is 'lidar'; expected one of depth, cloud, ground"),
        ({"min_range_m": 5.0, "max_range_m": 5.0}, "expected less than max_range_m"),
        ({"drivable": ("car", "road")}, "both drivable and obstacles: car"),
        ({"voxel_m": -1.0}, "voxel_m is -1.0"),
    ],
)
def test_nonsense_is_refused(values, says):
    with pytest.raises(DcfmError, match=says):
        PointsConfig(**values)


def test_every_number_has_a_range_and_every_parameter_says_what_it_is():
    for parameter in table():
        assert parameter.text
        if type(parameter.ros_default) in (int, float):
            assert parameter.allowed, parameter.name


def test_names_become_ids():
    names = ("sky", "road", "car")
    assert ids_of(("road",), names, "classes").nonzero()[0].tolist() == [1]
    assert ids_of(("all",), names, "classes").nonzero()[0].tolist() == [0, 1, 2]
    with pytest.raises(
        DcfmError, match="drivable names 'raod', which is no class of the mask; known: sky, road, car"
    ):
        ids_of(("raod",), names, "drivable")
