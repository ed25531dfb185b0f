"""A live run from its input to its report: frames over DDS into the real node, and what came out.

This process needs no ROS: it starts the player, the node and the recorder, watches them, and makes the report from the
bag that was recorded, so that whoever reads that again finds the same numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tqdm import tqdm

from dcfm_ros.errors import say
from dcfm_ros.model.checkpoint import load_model
from dcfm_ros.model.config import ModelCard
from dcfm_ros.model.groups import grouped
from dcfm_ros.model.shipped import weights_path
from dcfm_ros.replay.job import Job, node_parameters
from dcfm_ros.replay.live.recorded import Stages, engine_of, read_recording, read_sent, sent_as_recorded
from dcfm_ros.replay.live.run import LiveRun, play, recorded_topics
from dcfm_ros.replay.outputs import BAG, LOG, prepare
from dcfm_ros.replay.replayer import check_input
from dcfm_ros.replay.report.page import write_report
from dcfm_ros.replay.report.report import Report, report_of
from dcfm_ros.replay.report.tables import summary_text
from dcfm_ros.replay.run_video import RunVideo
from dcfm_ros.replay.summary import usual_interval_ms
from dcfm_ros.stream.trigger_grammar import in_words

_LATENCY = "From the moment an image is published to the moment its mask arrives, both measured outside the node, over DDS."
_BAG_WORDS = "images, masks, labels, timing and diagnostics as they arrived: open it in Foxglove, or play it with `ros2 bag play`"


@dataclass(frozen=True)
class Session:
    """What is played into which graph."""

    namespace: str  # where topics and node are
    job: Job  # what is played, what the node is set to, and where the report goes
    title: str  # the report's heading
    words: str  # what is played
    recorded_stamps: bool = False  # as with `ros2 bag play`; else frames are stamped as they are sent
    options: Mapping[str, Any] = field(default_factory=dict)  # further ones of the player, by name
    parameters: Mapping[str, str] = field(default_factory=dict)  # of the node, before the job's

    def run(self) -> int:
        """Play, record, report. Returns 0; 2 where not all of the input could be played, as its notes tell; or 130 after
        Ctrl-C (the report is written then, too).

        Raises DcfmError: the input cannot be played, the output folder is not empty, or a process ended early.
        """
        check_input(self.job)
        settings = node_parameters(self.job) | dict(self.parameters)
        card = card_of(settings)
        folder = self.job.folder
        prepare(folder, force=self.job.force, read=self.job.read)
        (folder / LOG).mkdir()
        outcome = play(self.namespace, folder, settings, self.job.input, self._player_options())
        report = self._report(card, outcome, settings)
        say(summary_text(report))
        say(f"\n  open {write_report(report, folder)}")
        for name, what in report.files.items():
            say(f"       {folder / name}: {what}")
        return 130 if outcome.interrupted else 2 if outcome.failed else 0

    @property
    def _sent(self) -> Path:
        return self.job.folder / LOG / "sent.csv"

    def _player_options(self) -> dict[str, Any]:
        job, labels = self.job, self.job.labels
        if labels is not None:
            labels = _absolute(labels)
        played = {"topic": job.topic, "labels": labels, "frames": job.frames, "fps": job.rate}
        log = {"sent": self._sent.resolve(), "recorded-stamps": True} if self.recorded_stamps else {}
        return {**played, **self.options, **log}

    def _report(self, card: ModelCard, outcome: LiveRun, settings: Mapping[str, str]) -> Report:
        """Match every frame that was played with what came back. Raises DcfmError for a bag without images."""
        job = self.job
        bag, topics = job.folder / BAG, recorded_topics(self.namespace)
        sent = read_sent(self._sent) if self.recorded_stamps else sent_as_recorded(bag, topics)
        video = RunVideo(job.folder, job.rate or outcome.rate, card) if job.video else None
        with tqdm(total=len(sent), unit="frame", desc="reporting", dynamic_ncols=True, disable=None) as bar:
            tally, odd = read_recording(bag, topics, card, video, bar.update, sent=sent, span_s=job.span)
        if video is not None:
            video.close()
        stages = Stages.of(
            sent, len(sent) if outcome.published is None else outcome.published, outcome.recorded
        )
        return report_of(
            tally,
            title=self.title,
            subject=f"{self.words}, played over DDS into the ROS 2 node",
            latency_meaning=_LATENCY,
            rest_meaning="transport and waiting",
            interval_ms=usual_interval_ms([record.sent_ms for record in tally.records]),
            load=outcome.node_load,
            notes=[*outcome.notes, *stages.losses()],
            settings={
                "Input": self.words,
                "Refresh": in_words(job.stream),
                "Mode": job.stream.mode,
                "Weights": job.weights_in_words,
                "Engine": engine_of(bag, topics) or "not reported",
                **settings,
            },
            files={**(video.files if video else {}), BAG: _BAG_WORDS},
            video=video,
            others_cores=outcome.others_cores,
            extra={**odd, "stages": vars(stages)},
        )


def _absolute(labels: str) -> str:
    """The same labels for a process in another folder: a folder, BAG:TOPIC, or a topic, which stays as it is."""
    bag, colon, topic = labels.rpartition(":")
    if Path(labels).exists():
        return str(Path(labels).resolve())
    return f"{Path(bag).resolve()}:{topic}" if colon and Path(bag).exists() else labels


def card_of(settings: Mapping[str, str]) -> ModelCard:
    """The card of what a node with these parameters publishes. Raises DcfmError for weights or groups that cannot be read."""
    model, groups = load_model(weights_path(settings.get("weights"))), settings.get("classes_file")
    return (grouped(model, groups) if groups else model).card
