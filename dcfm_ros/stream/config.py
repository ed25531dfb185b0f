"""What can be chosen about a stream. The only place where its defaults are written."""

from __future__ import annotations

from dataclasses import dataclass

from dcfm_ros.config import MAX_SIDE, Size, check, setting
from dcfm_ros.errors import DcfmError
from dcfm_ros.model.config import ModelCard

MODES = ("inline", "background")
BACKGROUNDS = ("auto", "thread", "slices")
ALIGNS = ("auto", "flow", "none")
MASK_SIZES = ("input", "network")


@dataclass(frozen=True)
class StreamConfig:
    """How one camera's stream is segmented. A trigger whose number is 0 is off; those that are on combine.

    Raises DcfmError, naming the field, for a value that makes no sense.
    """

    mode: str = setting(
        "background",
        "where key frames are computed: 'background', frames never wait for them (except the first), or 'inline', "
        "deterministic",
        choices=MODES,
    )
    background: str = setting(
        "auto",
        "what computes key frames in background mode: 'thread' (at idle priority), 'slices' (a piece after each frame), "
        "or 'auto', what suits this device",
        choices=BACKGROUNDS,
        removed={"process": "'slices' or 'thread'"},
    )
    background_threads: int = setting(
        0, "CPU threads that compute key frames in background mode; 0: half of the cores", 0, 256
    )
    slices: int = setting(
        0, "into how many pieces 'slices' cuts a key frame; 0: as few as fit between two frames", 0, 1000
    )
    input_size: Size = setting(
        (0, 0), "width and height the network sees, best multiples of 32; 0, 0: the model card's", 0, MAX_SIDE
    )
    mask_size: str | Size = setting(
        "input",
        "size of the mask: 'input' (the image's), 'network' (input_size), or any other",
        choices=MASK_SIZES,
    )
    align: str = setting(
        "auto",
        "what moves a common feature to where its things are now: 'flow' (cheap optical flow), 'none' (the published "
        "method), or 'auto', what suits the model",
        choices=ALIGNS,
    )
    independent_interval: int = setting(
        1,
        "compute the independent feature of every n-th frame, and move the last mask along the flow for those between; 1: of "
        "every frame, the published method",
        1,
        100,
    )
    key_interval: int = setting(0, "refresh after this many frames; 0: off", 0, 1_000_000)
    key_period_ms: float = setting(1000.0, "refresh after this much message time, ms; 0: off", 0.0, 1e9)
    motion_threshold: float = setting(
        0.4,
        "refresh when the image has changed this much since the key frame, 0 (not at all) to 1 (nothing in common); "
        "0: off",
        0.0,
        1.0,
    )
    odometry_distance_m: float = setting(
        0.0, "refresh when the camera has moved this far, m; 0: off", 0.0, 1e6
    )
    odometry_angle_deg: float = setting(
        0.0, "refresh when the camera has turned this much, degrees; 0: off", 0.0, 180.0
    )
    disagreement: float = setting(
        0.0, "refresh so often that a refresh changes about this share of the pixels, 0-1; 0: off", 0.0, 1.0
    )
    max_age_ms: float = setting(
        3000.0,
        "always refresh after this much message time, ms; masks from an older common feature are marked stale",
        1.0,
        1e12,
    )
    agreement: bool = setting(
        True,
        "measure at each refresh the share of pixels that the old common feature would have labelled alike",
    )
    phase: float = setting(
        0.0,
        "how much sooner the first periodic refresh comes, as a share of its period: gives each of several cameras its "
        "own turn",
        0.0,
        1.0,
    )

    def __post_init__(self) -> None:
        check(self)
        self._must_move_masks(self.align)
        if (self.input_size[0] == 0) != (self.input_size[1] == 0):
            raise DcfmError(
                f"input_size is {self.input_size}; give width and height, or 0, 0 for the model card's"
            )

    @property
    def wants_odometry(self) -> bool:
        """Whether a trigger uses the robot's motion."""
        return self.odometry_distance_m > 0 or self.odometry_angle_deg > 0

    def network_size(self, card_size: Size) -> Size:
        """(width, height) that the network sees. card_size: what its card says."""
        return self.input_size if all(self.input_size) else card_size

    def alignment(self, card: ModelCard) -> str:
        """flow or none: what `align` means for a model. Raises DcfmError where nothing would move masks that are to move."""
        align = card.align if self.align == "auto" else self.align
        self._must_move_masks(align)
        return align

    def _must_move_masks(self, align: str) -> None:
        if self.independent_interval > 1 and align == "none":
            raise DcfmError(
                f"independent_interval is {self.independent_interval}, but without optical flow there is nothing to move "
                "masks along; set align: flow, or independent_interval: 1"
            )

    def size_of_mask(self, frame_size: Size, network_size: Size) -> Size:
        """(width, height) of the mask of a frame."""
        if isinstance(self.mask_size, tuple):
            return self.mask_size
        return frame_size if self.mask_size == "input" else network_size
