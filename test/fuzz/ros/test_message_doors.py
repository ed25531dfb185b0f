"""ROS messages of any fields: what the node and `dcfm_points` make of them is a message, an array or a clear refusal."""

from array import array

import numpy as np
from doors import answer, door
from hypothesis import strategies as st
from sensor_msgs.msg import CameraInfo, Image, PointCloud2, PointField
from std_msgs.msg import Header

from dcfm_ros.media.image_header import BadImage
from dcfm_ros.node.camera_info import CameraInfos, scaled_camera_info
from dcfm_ros.node.convert import message_to_rgb
from dcfm_ros.node.points.messages import depth_of, mask_of, points_of_cloud

UINT32 = st.one_of(st.integers(0, 9), st.sampled_from((480, 2**16, 2**31, 2**32 - 1)))
FLOATS = st.floats(allow_nan=False)
MASK = (48, 36)
ROI = ("x_offset", "y_offset", "width", "height")


@door(
    150,
    size=st.tuples(UINT32, UINT32),
    binning=st.tuples(UINT32, UINT32),
    roi=st.lists(UINT32, min_size=4, max_size=4),
    k=st.lists(st.floats(), min_size=9, max_size=9),
    d=st.lists(st.floats(), max_size=9),
    own=st.booleans(),
)
def test_calibrations_of_any_fields(size, binning, roi, k, d, own):
    info = CameraInfo(width=size[0], height=size[1], binning_x=binning[0], binning_y=binning[1], k=k, d=d)
    for name, value in zip(ROI, roi):
        setattr(info.roi, name, value)
    infos = CameraInfos()
    infos.add(info)
    found = infos.of(Header(), (roi[2], roi[3]) if own else MASK)
    assert found in (None, info)
    scaled = scaled_camera_info(info, Header(frame_id="front"), MASK)
    assert scaled.header.frame_id == "front" and len(scaled.k) == 9
    pixels = [scaled.width, scaled.height, *(getattr(scaled.roi, name) for name in ROI)]
    assert 0 <= min(pixels) <= max(pixels) < 2**32


@door(
    100,
    factor=st.integers(1, 8),
    focal=st.floats(1, 1e4),
    size=st.tuples(st.integers(1, 2000), st.integers(1, 2000)),
)
def test_a_known_calibration_is_scaled(factor, focal, size):
    """Of a mask that is some times smaller."""
    info = CameraInfo(width=size[0] * factor, height=size[1] * factor)
    info.k = [focal, 0.0, 7.0, 0.0, focal, 5.0, 0.0, 0.0, 1.0]
    scaled = scaled_camera_info(info, Header(), size)
    assert (scaled.width, scaled.height) == size
    np.testing.assert_allclose(scaled.k, np.array(info.k) / [*[factor] * 6, 1, 1, 1])


ENCODINGS = st.sampled_from(("mono8", "8UC1", "16UC1", "mono16", "32FC1", "rgb8", "nv12", "\x1b[2J", ""))


@door(
    150,
    encoding=ENCODINGS,
    fields=st.tuples(UINT32, UINT32, UINT32),
    fits=st.booleans(),
    big=st.integers(0, 255),
    data=st.binary(max_size=80),
)
def test_images_of_any_message(encoding, fields, fits, big, data):
    height, width, step = fields
    if fits and height * step < 10_000:
        data = bytes(height * step)
    message = Image(
        encoding=encoding, height=height, width=width, step=step, is_bigendian=big, data=array("B", data)
    )
    rgb = answer(message_to_rgb, message, error=BadImage)
    mask, depth = answer(mask_of, message, "it"), answer(depth_of, message)
    assert rgb is None or rgb.shape == (height, width, 3)
    assert all(plane is None or plane.shape == (height, width) for plane in (mask, depth))


FIELDS = st.lists(
    st.builds(
        PointField,
        name=st.sampled_from(("x", "y", "z", "rgb", "label")),
        offset=UINT32,
        datatype=st.sampled_from((7, 7, 7, 6, 2, 0)),
        count=UINT32,
    ),
    max_size=6,
)


@door(
    150,
    fields=FIELDS,
    whole=st.booleans(),
    sizes=st.tuples(UINT32, UINT32, UINT32, UINT32),
    data=st.binary(max_size=80),
)
def test_clouds_of_any_message(fields, whole, sizes, data):
    height, width, point, row = sizes
    if whole:
        fields += [PointField(name=name, offset=4 * i, datatype=7, count=1) for i, name in enumerate("xyz")]
    if height * row < 10_000:
        data = bytes(height * row)
    message = PointCloud2(
        height=height, width=width, fields=fields, point_step=point, row_step=row, data=array("B", data)
    )
    got = answer(points_of_cloud, message)
    assert got is None or got[0].shape == (height, width, 3)
