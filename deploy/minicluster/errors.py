"""What can go wrong with a cluster of services, other than bad input."""


class ClusterError(Exception):
    """A service did not start, ended, or could not be fetched; told in one sentence."""


def last_error(log_text: str) -> str:
    """The last line of a log that tells an error, else its last line, at most 300 characters of it."""
    lines = [line.strip() for line in log_text.splitlines() if line.strip()]
    telling = [
        line for line in lines if any(word in line for word in ("ERROR", "FATAL", "Exception", "Error"))
    ]
    # Java's own frames and shutdown banners come after the line that says why.
    telling = [line for line in telling if not line.startswith(("at ", "..."))]
    return (telling or lines or ["its log is empty"])[-1][:300]
