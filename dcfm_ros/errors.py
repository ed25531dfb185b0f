"""The one error that is meant for the user's eyes, and how text from elsewhere gets there unharmed."""

from __future__ import annotations

import importlib
import logging
from typing import Any, TextIO

MAX_LINE = 2000  # characters; names in a hostile message may be as long as it is


class DcfmError(Exception):
    """A problem the user can act on.

    Its message is one complete sentence or two: what is wrong, what was expected, what to do. The command line prints
    it without a traceback and exits with 2; the node logs it as one line.
    """


class Interrupted(DcfmError):
    """A run that Ctrl-C or SIGTERM has ended early, with what it leaves whole; its message says how far it came."""


def printable(text: str) -> str:
    """`text`, its lines as they are, with control characters and terminal escapes as Python writes them (\\x1b).

    Names and formats come from messages and files: whoever hands text to a terminal (`say`), a log or a message calls this.
    """
    return "".join(c if c.isprintable() or c == "\n" else ascii(c)[1:-1] for c in text)


def say(text: object, file: TextIO | None = None) -> None:
    """Print to stdout (or `file`) what may hold text from elsewhere."""
    print(printable(str(text)), file=file, flush=True)


class PlainText(logging.Formatter):
    """A log record's message, printable."""

    def format(self, record: logging.LogRecord) -> str:
        return printable(super().format(record))


def one_line(text: object) -> str:
    """`text`, printable, in one line of at most MAX_LINE characters."""
    line = " ".join(printable(str(text)[: 2 * MAX_LINE]).split())
    return line if len(line) <= MAX_LINE else f"{line[: MAX_LINE - 1]}…"


def reason(error: BaseException) -> str:
    """Why something failed, in one line: a DcfmError's own words; for any other error its type, too."""
    return one_line(error if isinstance(error, DcfmError) else f"{type(error).__name__}: {error}")


def required(package: str, what: str, install: str = "") -> Any:
    """A package that not every installation has. Raises DcfmError, which says what needs it and how to install it."""
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise DcfmError(
            f"{what} needs the package '{package}': pip install {install or package} ({error})"
        ) from error
