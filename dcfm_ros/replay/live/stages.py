"""Where the frames of a live run went: how many the player, the node and the recorder have seen, and who lost the others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dcfm_ros.measure.table import counted
from dcfm_ros.replay.live.recorded import Sent


@dataclass(frozen=True)
class Stages:
    """Frames by stage, as each stage counts them itself.

    published: by the player. received, segmented, replaced, failed: by the node, up to the last frame it tells of: got, got
    a mask, gave way to a newer one (or came twice), could not be used. masks, images: that the recorder got.
    untold: frames published after the last that the node tells of.
    """

    published: int
    received: int
    segmented: int
    replaced: int
    failed: int
    masks: int
    images: int
    untold: int

    @classmethod
    def of(cls, sent: Sequence[Sent], published: int, images: int) -> Stages:
        """Of the frames played, matched with what came back. images: how many the recorder got."""
        told = [place for place, frame in enumerate(sent) if frame.timing is not None]
        last = sent[told[-1]].timing if told else None
        counts = {
            name: int(getattr(last, theirs)) if last is not None else 0
            for name, theirs in (
                ("received", "received"),
                ("segmented", "processed"),
                ("replaced", "dropped"),
                ("failed", "failed"),
            )
        }
        untold = len(sent) - 1 - (told[-1] if told else -1)
        masks = sum(frame.mask_ns is not None for frame in sent)
        return cls(published=published, masks=masks, images=images, untold=untold, **counts)

    def losses(self) -> list[str]:
        """Who lost how many, in words; empty where none is missing."""
        found = (
            (self.published - self.untold - self.received, "frame", "published and not received by the node"),
            (self.replaced, "frame", "replaced by a newer one in the node, before their turn"),
            (self.failed, "frame", "that the node could not use"),
            (self.segmented - self.masks, "mask", "published by the node and not recorded"),
            (
                self.published - self.images,
                "image",
                "published and not recorded: there is no picture of them",
            ),
        )
        told = [f"{counted(count, noun)} {what}" for count, noun, what in found if count > 0]
        if self.untold and self.masks < self.published:
            told.append(f"the node tells nothing of the last {counted(self.untold, 'frame')}")
        return told
