"""Messages of one stamp find each other, in whatever order they come."""

from hypothesis import given
from hypothesis import strategies as st

from dcfm_ros.node.points.matcher import ExactTime

NAMES = ("mask", "depth", "image")


@given(st.permutations([(name, stamp) for stamp in range(4) for name in NAMES]))
def test_a_group_is_what_has_one_stamp_and_the_newest_is_never_lost(arrivals):
    matcher = ExactTime(NAMES, 10)
    groups = [group for name, stamp in arrivals if (group := matcher.add(name, stamp, (name, stamp)))]
    stamps = [group["mask"][1] for group in groups]
    assert len(stamps) == len(set(stamps))
    assert all(group == {name: (name, stamp) for name in NAMES} for group, stamp in zip(groups, stamps))
    assert 3 in stamps


def test_a_mask_whose_depth_does_not_come_is_lost_and_counted():
    matcher = ExactTime(NAMES, 3)
    for stamp in range(5):
        assert matcher.add("mask", stamp, "mask") is None
    assert matcher.lost == 2
    matcher.add("depth", 4, "depth")
    assert matcher.add("image", 4, "image")
    assert matcher.lost == 4
    for stamp in range(5, 10):
        matcher.add("image", stamp, "image")  # of frames that nobody segmented
    assert matcher.lost == 4
