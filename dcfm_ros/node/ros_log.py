"""What the rest of the package logs, in ROS's log: on the node's console and in /rosout."""

from __future__ import annotations

import logging
from typing import Any

from dcfm_ros.errors import printable

_package = logging.getLogger("dcfm_ros")


def forward(logger: Any) -> None:
    """Hand what the package's modules log with `logging`, from INFO on, to this logger of rclpy's, until `end`.

    Of several nodes in a process, the one created last gets it: there is no telling whose it is, and once is enough.
    Until then it goes nowhere else: handlers further up, which some libraries install, would print it a second time.
    """
    _handler.add(logger)


def end(logger: Any) -> None:
    """Hand nothing more to this logger; it is no longer used when this returns. May be called twice."""
    _handler.remove(logger)


class _RosHandler(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self._loggers: list[Any] = []
        self._before = (_package.level, _package.propagate)

    def add(self, logger: Any) -> None:
        self.acquire()
        try:
            if not self._loggers:
                self._before = (_package.level, _package.propagate)
                _package.setLevel(logging.INFO)
                _package.propagate = False
                _package.addHandler(self)
            self._loggers.append(logger)
        finally:
            self.release()

    def remove(self, logger: Any) -> None:
        self.acquire()
        try:
            if logger not in self._loggers:
                return
            self._loggers.remove(logger)
            if not self._loggers:
                _package.removeHandler(self)
                level, _package.propagate = self._before
                _package.setLevel(level)
        finally:
            self.release()

    def emit(self, record: logging.LogRecord) -> None:
        """Called with the handler's lock held, from any thread."""
        try:
            for logger in self._loggers[-1:]:
                _send(logger, record.levelno, printable(self.format(record)))
        except Exception:
            self.handleError(record)


def _send(logger: Any, level: int, text: str) -> None:
    """A call for each level: rclpy knows callers by their line, and refuses one that changes its level."""
    if level >= logging.CRITICAL:
        logger.fatal(text)
    elif level >= logging.ERROR:
        logger.error(text)
    elif level >= logging.WARNING:
        logger.warning(text)
    else:
        logger.info(text)


_handler = _RosHandler()
