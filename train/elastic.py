"""Training that outlives its ranks: with Horovod's host discovery, those that are left go on.

Whatever ranks share belongs to one world of them. When a rank ends, or hosts come or go, those that are left
leave it, form another with those that are new, and begin anew from what was committed last: all of a fit is
done again, but for what is committed or stands in the run's folder.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from typing_extensions import override

from train.checkpoint import state_bytes, state_of_bytes
from train.distributed import Comm, ElasticComm

Result = TypeVar("Result")


class Commits:
    """Where training leaves its state for the next world of ranks; nowhere, where there is but one."""

    @property
    def state(self) -> dict[str, Any] | None:
        """What was committed last, the same on every rank; None where nothing was."""
        return None

    @property
    def world(self) -> int:
        """How many worlds of ranks there were before."""
        return 0

    def keep(self, state: Callable[[], dict[str, Any]]) -> None:
        """Commit a state; all ranks call it."""

    def go_on(self) -> None:
        """Leave this world where hosts came or went; all ranks call it, right after `keep`."""


class HorovodCommits(Commits):
    """In the memory of every rank."""

    def __init__(self, comm: ElasticComm) -> None:
        self.comm = comm
        # Bytes: other ranks' tensors change under us, and these are what is sent to a new rank.
        self.horovod = comm.elastic_state(content=None, world=0)
        self.horovod.register_reset_callbacks([self._begin_world])

    @property
    @override
    def state(self) -> dict[str, Any] | None:
        content = self.horovod.content
        return None if content is None else state_of_bytes(content)

    @property
    @override
    def world(self) -> int:
        return int(self.horovod.world)

    @override
    def keep(self, state: Callable[[], dict[str, Any]]) -> None:
        self.horovod.content = state_bytes(state())
        self.horovod.save()

    @override
    def go_on(self) -> None:
        self.comm.check_hosts(self.horovod)

    def _begin_world(self) -> None:
        self.horovod.world += 1
        self.horovod.save()


def outlive(comm: Comm, attempt: Callable[[Commits], Result]) -> Result:
    """Result of an attempt that is begun anew in every world of ranks until it ends in one.

    Parameters
    ----------
    comm
        The ranks; unless they are elastic there is one attempt.
    attempt
        Is given the commits, from which it goes on. It raises what Horovod raises to it.

    Raises
    ------
    Exception
        Whatever else the attempt raises.
    """
    if not isinstance(comm, ElasticComm):
        return attempt(Commits())
    commits = HorovodCommits(comm)
    return comm.run_elastic(commits.horovod, lambda: attempt(commits))
