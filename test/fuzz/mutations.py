"""Real files with some bytes changed: they get further into a parser than bytes made at random."""

import struct

from hypothesis import strategies as st

_LENGTHS = (0, 1, 2, 3, 4, 7, 8, 255, 256, 16384, 16385, 65535, 65536, 2**24)
_ENDS = (2**15 - 1, 2**15, 2**31 - 1, 2**31, 2**32 - 1, 2**62, 2**63 - 1, 2**63, 2**64 - 1)
_NUMBERS = st.one_of(st.sampled_from((*_LENGTHS, *_ENDS)), st.integers(0, 2**64 - 1))
_PLACE = st.floats(0, 1, exclude_max=True)
_SHORT = st.integers(0, 64)


def mutated(*files: bytes, most=6):
    """A strategy: one of the files with up to `most` changes, or short bytes made at random that begin as it does."""
    file = st.sampled_from(files)
    changes = st.lists(_change(files), max_size=most)
    random = st.builds(lambda data, rest: data[:8] + rest, file, st.binary(max_size=200))
    return st.one_of(st.builds(_changed, file, changes), st.builds(_changed, file, changes), random)


def _changed(data, changes):
    for change in changes:
        data = change(data)
    return data


def _change(files):
    return st.one_of(
        st.builds(_flip, _PLACE, st.integers(0, 255)),
        st.builds(_number, _PLACE, _NUMBERS, st.sampled_from("BHIQ"), st.sampled_from("<>")),
        st.builds(
            _number_near_an_end,
            _SHORT,
            _NUMBERS,
            st.sampled_from("BHIQ"),
            st.sampled_from("<>"),
            st.booleans(),
        ),
        st.builds(_cut, _PLACE),
        st.builds(_without, _PLACE, _SHORT),
        st.builds(_repeat, _PLACE, _SHORT, st.integers(1, 20)),
        st.builds(_insert, _PLACE, st.binary(max_size=16)),
        st.builds(_splice, _PLACE, st.sampled_from(files), _PLACE),
    )


def _change_at(place, change):
    return lambda data: change(data, int(place * len(data)))


def _flip(place, value):
    return _change_at(place, lambda data, at: data[:at] + bytes([value]) + data[at + 1 :])


def _number(place, number, form, order):
    """Where lengths, counts and offsets are, they lie."""
    packed = _packed(number, form, order)
    return _change_at(place, lambda data, at: data[:at] + packed + data[at + len(packed) :])


def _number_near_an_end(at, number, form, order, last):
    """Most formats have their lengths and indexes at the begin or the end."""
    packed = _packed(number, form, order)

    def change(data):
        place = max(0, len(data) - at - len(packed)) if last else at
        return data[:place] + packed + data[place + len(packed) :]

    return change


def _packed(number, form, order):
    return struct.pack(order + form, number % (1 << 8 * struct.calcsize(form)))


def _cut(place):
    return _change_at(place, lambda data, at: data[:at])


def _without(place, length):
    return _change_at(place, lambda data, at: data[:at] + data[at + length :])


def _repeat(place, length, times):
    return _change_at(place, lambda data, at: data[:at] + data[at : at + length] * times + data[at:])


def _insert(place, bytes_):
    return _change_at(place, lambda data, at: data[:at] + bytes_ + data[at:])


def _splice(place, other, where):
    """Goes on as another file does."""
    return _change_at(place, lambda data, at: data[:at] + other[int(where * len(other)) :])


def linked(*files: bytes, page: int):
    """A strategy: one of the files with up to six references between its pages changed, for files that are made of pages."""
    link = st.tuples(
        _PLACE, st.one_of(st.just(8), st.integers(0, page // 4 - 1).map(lambda word: 4 * word)), _PLACE
    )
    return st.builds(_relinked, st.sampled_from(files), st.just(page), st.lists(link, min_size=1, max_size=6))


def _relinked(data, page, links):
    changed, pages = bytearray(data), len(data) // page
    for place, at, target in links:
        begin = int(place * pages) * page + at
        changed[begin : begin + 4] = (1 + int(target * pages)).to_bytes(4, "big")
    return bytes(changed)
