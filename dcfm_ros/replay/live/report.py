"""The report of a live run, made from the bag that was recorded: whoever reads that again finds the same numbers."""

from __future__ import annotations

from collections.abc import Sequence

from tqdm import tqdm

from dcfm_ros.measure import machine
from dcfm_ros.media.video_writer import VideoWriter
from dcfm_ros.model.config import ModelCard
from dcfm_ros.replay.live.graph import Graph
from dcfm_ros.replay.live.recorded import Sent, read_recording
from dcfm_ros.replay.live.run import Outcome
from dcfm_ros.replay.outputs import Outputs
from dcfm_ros.replay.report import Report
from dcfm_ros.replay.spans import DEFAULT_SECONDS
from dcfm_ros.replay.summary import summarise, usual_interval_ms
from dcfm_ros.replay.tally import Run

_RATE = 15.0
_LATENCY = "From the moment an image is published to the moment its mask arrives, both measured outside the node, over DDS."
_BAG = (
    "images, masks, labels and timing as they arrived: open it in Foxglove, or play it with `ros2 bag play`"
)
_VIDEO = "every frame with its mask as a video"


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
    segment_s: float = DEFAULT_SECONDS,
) -> Report:
    """Match every frame that was played with what came back.

    Args:
        card: of the node's model.
        title, played: the page's heading, and what was played, in words.
        settings: beside the input and the model.
        rate: of the video, frames per second; None: the input's.
        sent: what was played, and when; None: every recorded image, at its stamp.
        segment_s: length of the stretches with numbers of their own, seconds.

    Raises:
        DcfmError: the bag is damaged, or holds no images.
    """
    total = len(sent) if sent is not None else outcome.sent or None
    video = VideoWriter(outputs.video, rate or outcome.rate or _RATE) if with_video else None
    with tqdm(total=total, unit="frame", desc="reporting", dynamic_ncols=True, disable=None) as bar:
        run, arrived = read_recording(
            outputs.bag, graph.recorded, card, video, bar.update, sent=sent, segment_s=segment_s
        )
    if video is not None:
        video.close()
    summary, facts = summarise(run.records), machine.describe()
    return Report(
        title=title,
        subject=f"{played}, played over DDS into the ROS 2 node on {facts.get('Processor', 'this machine')}.",
        latency_meaning=_LATENCY,
        rest_meaning="transport and waiting",
        classes=card.classes,
        colors=card.colors,
        summary=summary,
        records=run.records,
        pictures=run.pictures,
        confusion=run.confusion,
        consistency_windows=run.video_consistency(),
        labelled=run.labelled,
        interval_ms=usual_interval_ms([record.sent_ms for record in run.records]),
        load=outcome.node_load,
        segments=run.segments(),
        notes=(*outcome.notes, *_notes(run)),
        settings={"Input": played, "Model": card.name, "Licence of the weights": card.licence, **settings},
        machine=facts,
        files=_files(outputs, video),
        extra={"duplicates": arrived.duplicates, "out_of_order": arrived.out_of_order},
    )


def _notes(run: Run) -> tuple[str, ...]:
    return (
        *(f"{count} labels were not used: {why}" for why, count in run.label_problems.items()),
        *(f"{count} times the stream began anew: {why}" for why, count in run.breaks.items()),
    )


def _files(outputs: Outputs, video: VideoWriter | None) -> dict[str, str]:
    made = {video.path.name: _VIDEO} if video is not None and video.path is not None else {}
    return {**made, outputs.bag.name: _BAG}
