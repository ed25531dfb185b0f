"""How a common branch that is computed piece by piece goes from one piece to the next."""

from __future__ import annotations


class Abandoned(BaseException):
    """Nobody wants the result any more. No error: `except Exception` lets it through."""


class Pace:
    """All in one go. pieces: into how many the common branch is to be cut."""

    pieces: int = 1

    def next_piece(self) -> None:
        """Called before each piece. May wait; raises Abandoned when the rest is not wanted any more."""


IN_ONE_GO = Pace()
