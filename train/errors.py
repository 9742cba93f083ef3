"""How a run can end before its time, other than by a fault of its input."""

from __future__ import annotations


class TrainingError(Exception):
    """Training cannot go on; nothing saved so far is lost."""


class LostRankError(TrainingError):
    """Another rank has ended, so that this one can't go on; why, that one knows."""


class Stopped(Exception):  # noqa: N818 - not an error
    """The process was asked to end; the state is saved."""
