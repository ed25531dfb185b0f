"""Writes .mcap files record by record, so that a test can leave out, change or add any of them."""

import struct
import zlib

import bags

MAGIC = b"\x89MCAP0\r\n"


def record(kind, *fields):
    content = b"".join(fields)
    return struct.pack("<BQ", kind, len(content)) + content


def text(value):
    data = value.encode() if isinstance(value, str) else value
    return struct.pack("<I", len(data)) + data


def channel(
    number, topic, *, schema="sensor_msgs/msg/Image", encoding="ros2msg", definition="", serialization="cdr"
):
    """A schema and its channel."""
    return record(3, struct.pack("<H", number), text(schema), text(encoding), text(definition)) + record(
        4, struct.pack("<HH", number, number), text(topic), text(serialization), text(b"")
    )


def message(number, time_ns, data):
    return record(5, struct.pack("<HIQQ", number, 0, time_ns, time_ns), bytes(data))


def image_message(index, number=1):
    stamp = bags.stamp_of(index)
    data = bags.STORE2.serialize_cdr(bags.image(bags.picture(index), stamp), bags.IMAGE)
    return message(number, stamp + 1_000_000, data)


def chunk(content, *, size=None, checksum=None, compression="", packed=None):
    """A chunk of records; `size` and `checksum` are what it claims."""
    head = struct.pack(
        "<QQQI",
        0,
        2**62,
        len(content) if size is None else size,
        zlib.crc32(content) if checksum is None else checksum,
    )
    packed = content if packed is None else packed
    return record(6, head, text(compression), struct.pack("<Q", len(packed)), packed)


def mcap(path, data, *, profile="ros2", index=(), statistics=None, summary=b""):
    """A file of these records. index: (place in `data`, length) of chunks to list, without message index; statistics:
    messages by channel number."""
    head = MAGIC + record(1, text(profile), text("test"))
    end = record(15, struct.pack("<I", 0))
    for place, length in index:
        summary += record(
            8,
            struct.pack("<QQQQ", 0, 2**62, len(head) + place, length),
            text(b""),
            struct.pack("<Q", 0),
            text(""),
            struct.pack("<QQ", 0, 0),
        )
    if statistics is not None:
        counts = b"".join(struct.pack("<HQ", *each) for each in statistics.items())
        summary += record(
            11,
            struct.pack("<QHIIIIQQ", sum(statistics.values()), 1, 1, 0, 0, len(index), 0, 2**62),
            text(counts),
        )
    start = len(head) + len(data) + len(end) if summary else 0
    footer = record(2, struct.pack("<QQI", start, 0, 0))
    path.write_bytes(head + data + end + summary + footer + MAGIC)
    return path
