"""Commands whose cost is measured."""

from collections.abc import Mapping, Sequence

from deploy.measure import Measured, run_measured

TIME_LIMIT = 1800  # seconds for one command


class CommandFailed(Exception):  # noqa: N818 - it names what happened
    """A measured command ended with a status other than 0; its own message is above."""


def measure(command: Sequence[str], env: Mapping[str, str] | None = None) -> Measured:
    """Run a command to its end; `env` is added to the environment.

    Raises
    ------
    CommandFailed
        If its status is not 0.
    """
    measured = run_measured(command, TIME_LIMIT, env=env)
    if measured.returncode:
        raise CommandFailed(f"status {measured.returncode} from: {' '.join(command)}")
    return measured
