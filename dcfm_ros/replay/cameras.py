"""The cameras of a run: what is measured from frame to frame is measured from one camera's frame to its next."""

from __future__ import annotations

from collections import OrderedDict

from dcfm_ros.measure.flow import FlowConsistency

MAX_CAMERAS = 8
"""Those seen last; each holds a picture."""
Shape = tuple[int, ...]


class Camera:
    """A frame_id with images of one size, at its last frame.

    index: of that frame among all of the run. stamp_ns: its stamp. step_ns: by how much the stamps grew last.
    """

    def __init__(self, index: int, stamp_ns: int) -> None:
        self.index, self.stamp_ns, self.step_ns = index, stamp_ns, 0
        self.consistency = FlowConsistency()

    def advance(self, index: int, stamp_ns: int) -> str:
        """Its next frame; returns why its stream breaks there, "" where it does not.

        A frame that comes late, into a gap that those before it left, is no break, as in `stream.timeline`.
        """
        by_ns = stamp_ns - self.stamp_ns
        back = by_ns < 0 and -by_ns >= self.step_ns
        self.step_ns = by_ns if by_ns > 0 else self.step_ns
        self.index, self.stamp_ns = index, stamp_ns
        if back:
            self.consistency = FlowConsistency()
        return "the stamps jump back" if back else ""


class Cameras:
    """Finds the camera of each frame of a run."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[str, Shape | None], Camera] = OrderedDict()
        self._shapes: OrderedDict[str, Shape | None] = OrderedDict()
        self._index = -1

    def at(self, stamp_ns: int, frame_id: str, shape: Shape | None) -> tuple[Camera, str]:
        """The camera of the next frame, and why its stream breaks there ("" where it does not).

        shape: of image and mask; None where that is not known: as before.
        """
        self._index += 1
        before = self._shapes.get(frame_id)
        shape = shape or before
        key = (frame_id, shape)
        camera = self._known.pop(key, None)
        # Of two sizes that alternate, as from two cameras of one name, each goes on.
        alternates = camera is not None and camera.index == self._index - 2
        resized = before is not None and shape != before and not alternates
        if camera is None or resized:
            camera, why = Camera(self._index, stamp_ns), "the images change size" if resized else ""
        else:
            why = camera.advance(self._index, stamp_ns)
        _keep(self._known, key, camera)
        _keep(self._shapes, frame_id, shape)
        return camera, why


def _keep(table: OrderedDict, key: object, value: object) -> None:
    table[key] = value
    table.move_to_end(key)
    if len(table) > MAX_CAMERAS:
        table.popitem(last=False)
