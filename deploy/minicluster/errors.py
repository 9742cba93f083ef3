"""What can go wrong with a cluster of services, other than bad input."""

from collections.abc import Iterator

LONGEST = 300
"""Characters of a log's line that are told."""


class ClusterError(Exception):
    """A service did not start, or ended; told in one sentence."""


class FetchError(ClusterError):
    """Maven or Go could not bring a part, as without a network."""


def last_error(log: str) -> str:
    """The last line of a daemon's log that tells an error, else its last line."""
    lines = list(_lines(log))
    return (list(filter(_tells, lines)) or lines or ["its log is empty"])[-1][:LONGEST]


def first_error(output: str) -> str:
    """The first line of a tool's output that tells an error, else its last line: Maven ends with advice."""
    lines = list(_lines(output))
    return (list(filter(_tells, lines)) or lines[-1:] or ["it printed nothing"])[0][:LONGEST]


def _lines(text: str) -> Iterator[str]:
    return (line.strip() for line in text.splitlines() if line.strip())


def _tells(line: str) -> bool:
    # The frames of Java's traces ("at org...Exception") come after the line that says why.
    return not line.startswith(("at ", "...")) and any(
        word in line for word in ("ERROR", "FATAL", "Exception", "Error", "error:", "mismatch")
    )
