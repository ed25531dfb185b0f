"""The machine in facts and in words."""

import os
from collections import namedtuple
from dataclasses import replace

import psutil
import torch

from dcfm_ros.measure import machine
from dcfm_ros.measure.machine import OthersLoad, this_machine, version_of

Times = namedtuple("Times", "user nice system idle iowait irq softirq steal guest guest_nice")


def test_facts_are_those_of_this_process():
    facts = this_machine()
    assert facts.processor and facts.system and facts.memory.endswith("GiB")
    assert facts.cores == len(os.sched_getaffinity(0)) and facts.threads == torch.get_num_threads()
    assert facts.torch and facts.numpy and facts.opencv and facts.dcfm_ros


def test_words_leave_out_what_is_not_there():
    words = replace(this_machine(), gpu="", tensorrt="", openvino="2026.4", vector_units="").words()
    assert list(words)[:2] == ["Processor", "Cores"] and words["GPU"] == "none used (CPU)"
    assert words["openvino"] == "2026.4"
    assert not {"tensorrt", "Vector units"} & set(words)


def test_a_package_of_another_name_and_one_that_is_not_there():
    assert version_of("cv2") and version_of("no_such_module") == ""


def test_the_load_of_others_is_all_but_our_own_and_the_idle_time(monkeypatch):
    seconds = [Times(10, 0, 5, 100, 20, 0, 0, 1, 4, 0), Times(16, 0, 7, 130, 90, 0, 0, 3, 5, 0)]
    own = [1.0, 3.0]
    clock = [0.0, 2.0]
    monkeypatch.setattr(psutil, "cpu_times", lambda: seconds.pop(0))
    monkeypatch.setattr(machine, "_own_seconds", lambda: own.pop(0))
    monkeypatch.setattr(machine.time, "perf_counter", lambda: clock.pop(0))
    # user 6, system 2 and steal 2 s more in all (a guest's are the user's already), 2 of them ours: 8 s in 2.
    assert OthersLoad().cores() == 4
