"""Idle scheduling priority for a thread."""

from __future__ import annotations

import logging
import os
import threading

logger = logging.getLogger(__name__)

LOWEST_NICENESS = 19


def lower_priority() -> str:
    """Let the calling thread, and those it starts from now on, run only on what nobody else wants of the cores.

    Returns what the system granted: "idle", "nice", or "" where it knows neither; that is logged and no error.
    """
    if hasattr(os, "SCHED_IDLE"):
        try:
            os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))  # 0: the calling thread
            return "idle"
        except OSError as error:
            logger.debug("idle scheduling refused: %s", error)
    try:
        # Linux keeps a niceness for each thread; elsewhere it is the whole process's, which must not be lowered.
        if os.uname().sysname == "Linux":
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), LOWEST_NICENESS)
            return "nice"
    except OSError as error:
        logger.debug("niceness refused: %s", error)
    logger.info("key frames run at the priority of the frames: this system does not lower that of a thread")
    return ""
