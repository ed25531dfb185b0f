"""The report of a live run, made from the bag that was recorded: whoever reads that again finds the same numbers."""

from __future__ import annotations

from collections.abc import Sequence

from tqdm import tqdm

from dcfm_ros.media.video_writer import VideoWriter
from dcfm_ros.model.config import ModelCard
from dcfm_ros.replay.live.graph import Graph
from dcfm_ros.replay.live.recorded import Sent, read_recording
from dcfm_ros.replay.live.run import Outcome
from dcfm_ros.replay.outputs import VIDEO_RATE, Outputs
from dcfm_ros.replay.report.report import Report, report_of
from dcfm_ros.replay.spans import DEFAULT_SPAN_S
from dcfm_ros.replay.summary import usual_interval_ms

_LATENCY = "From the moment an image is published to the moment its mask arrives, both measured outside the node, over DDS."
_BAG = (
    "images, masks, labels and timing as they arrived: open it in Foxglove, or play it with `ros2 bag play`"
)


def live_report(
    graph: Graph,
    outputs: Outputs,
    outcome: Outcome,
    card: ModelCard,
    *,
    title: str,
    played: str,
    settings: dict[str, str],
    rate: float | None = None,
    with_video: bool = True,
    sent: Sequence[Sent] | None = None,
    span_s: float = DEFAULT_SPAN_S,
) -> Report:
    """Match every frame that was played with what came back.

    Args:
        card: of the node's model.
        title, played: the page's heading, and what was played, in words.
        settings: beside the input and the model.
        rate: of the video, frames per second; None: the input's.
        sent: what was played, and when; None: every recorded image, at its stamp.
        span_s: length of the time spans with numbers of their own, seconds.

    Raises:
        DcfmError: the bag is damaged, or holds no images.
    """
    total = len(sent) if sent is not None else outcome.sent or None
    video = VideoWriter(outputs.video, rate or outcome.rate or VIDEO_RATE) if with_video else None
    with tqdm(total=total, unit="frame", desc="reporting", dynamic_ncols=True, disable=None) as bar:
        tally, arrived = read_recording(
            outputs.bag, graph.recorded, card, video, bar.update, sent=sent, span_s=span_s
        )
    if video is not None:
        video.close()
    return report_of(
        tally,
        card,
        title=title,
        subject=f"{played}, played over DDS into the ROS 2 node",
        latency_meaning=_LATENCY,
        rest_meaning="transport and waiting",
        interval_ms=usual_interval_ms([record.sent_ms for record in tally.records]),
        load=outcome.node_load,
        notes=outcome.notes,
        settings={"Input": played, **settings},
        files={**outputs.video_files(video), outputs.bag.name: _BAG},
        extra={"duplicates": arrived.duplicates, "out_of_order": arrived.out_of_order},
    )
