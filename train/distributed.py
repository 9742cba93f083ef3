"""Ranks working together: the only module that knows Horovod.

Three backends answer the same calls: horovod (under horovodrun), ddp (torch.distributed, under torchrun) and
none (one process). A collective that only some ranks enter waits for ever: every call must be made by all.
"""

from __future__ import annotations

import os
import pickle
import time
from collections.abc import Callable
from typing import Any, Literal, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.distributed.algorithms.ddp_comm_hooks.default_hooks import fp16_compress_hook
from typing_extensions import override

from contract.errors import InputError, fault
from train.errors import LostRankError, TrainingError
from train.launch import is_elastic, launcher, note_place

Backend = Literal["auto", "horovod", "ddp", "none"]
Result = TypeVar("Result")
SHORTEST_PAUSE, LONGEST_PAUSE = 5e-5, 2e-3
"""Seconds between two looks at an operation of Horovod: short at first, then longer with the wait."""


class Comm:
    """One process alone; the base of the other backends."""

    backend = "none"
    is_elastic = False
    """Whether ranks come and go while others train."""
    rank = 0
    size = 1
    local_rank = 0
    local_size = 1

    @property
    def averages_on_gpu(self) -> bool:
        """Whether gradients on a GPU can be averaged."""
        return True

    @property
    def is_leader(self) -> bool:
        """Whether this rank prints and writes."""
        return self.rank == 0

    def wrap(self, model: nn.Module, *, half: bool = False) -> nn.Module:
        """Model to train with: after `average_gradients` all ranks hold the same gradients.

        With `half` gradients travel as float16, half the bytes, rounded to about three digits.
        """
        return model

    def average_gradients(self, model: nn.Module) -> None:
        """Wait until the gradients are the mean over ranks."""

    def add_up(self, values: Tensor) -> None:
        """Replace a tensor by its sum over ranks."""

    def share(self, value: Any) -> Any:
        """The leader's value, on every rank."""
        return value

    def sum(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Sum over ranks, element by element."""
        return values

    def gather(self, values: NDArray[Any]) -> NDArray[Any]:
        """Values of all ranks, joined along the first axis in the order of ranks; lengths may differ."""
        return values

    def close(self) -> None:
        """Leave the group."""

    def any(self, decision: bool) -> bool:
        """Whether any rank says so."""
        return bool(self.sum(np.array([float(decision)]))[0] > 0)

    def barrier(self) -> None:
        """Wait for all ranks."""
        self.sum(np.zeros(1))


class HorovodComm(Comm):
    """Under horovodrun."""

    backend = "horovod"

    def __init__(self) -> None:
        import horovod.torch as hvd

        hvd.init()
        self._hvd = hvd
        self._half = False
        self._take_place()

    @override
    def wrap(self, model: nn.Module, *, half: bool = False) -> nn.Module:
        self._half = half
        return model

    @property
    @override
    def averages_on_gpu(self) -> bool:
        return bool(self._hvd.nccl_built())

    @override
    def average_gradients(self, model: nn.Module) -> None:
        gradients = [weight.grad for weight in model.parameters() if weight.grad is not None]
        # One buffer for all: a wait for each weight would take longer than the sums.
        flat = torch.cat([gradient.flatten() for gradient in gradients])
        flat = flat.half() if self._half else flat
        self._wait(self._hvd.allreduce_async_(flat, name="gradients", op=self._hvd.Average))
        parts = torch.split(flat, [gradient.numel() for gradient in gradients])
        torch._foreach_copy_(gradients, [part.view_as(g) for part, g in zip(parts, gradients, strict=True)])

    @override
    def add_up(self, values: Tensor) -> None:
        name = f"sum of {len(values)} {values.dtype}"
        self._wait(self._hvd.allreduce_async_(values, name=name, op=self._hvd.Sum))

    @override
    def share(self, value: Any) -> Any:
        content = torch.frombuffer(bytearray(pickle.dumps(value)), dtype=torch.uint8)
        length = torch.tensor([len(content)])
        self._wait(self._hvd.broadcast_async_(length, root_rank=0, name="length"))
        if not self.is_leader:
            content = torch.empty(int(length), dtype=torch.uint8)
        self._wait(self._hvd.broadcast_async_(content, root_rank=0, name="content"))
        return value if self.is_leader else pickle.loads(content.numpy().tobytes())

    @override
    def sum(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        total = torch.from_numpy(values.copy())
        self.add_up(total)
        return total.numpy()

    @override
    def gather(self, values: NDArray[Any]) -> NDArray[Any]:
        joined = self._wait(self._hvd.allgather_async(torch.from_numpy(values), name=f"all {values.dtype}"))
        return np.asarray(joined.numpy())

    @override
    def close(self) -> None:
        self._hvd.shutdown()

    def _take_place(self) -> None:
        self.rank, self.size = self._hvd.rank(), self._hvd.size()
        self.local_rank, self.local_size = self._hvd.local_rank(), self._hvd.local_size()

    def _wait(self, handle: int) -> Tensor:
        """Result of an operation. Horovod's own wait spins on a core that another rank may need."""
        pause = SHORTEST_PAUSE
        while not self._hvd.poll(handle):
            time.sleep(pause)
            pause = min(1.2 * pause, LONGEST_PAUSE)
        result: Tensor = self._hvd.synchronize(handle)
        return result


class ElasticComm(HorovodComm):
    """Under horovodrun with host discovery: rank and size are those of a world of ranks, until the next."""

    is_elastic = True

    def elastic_state(self, **values: Any) -> Any:
        """Horovod's holder of values that a new rank is given: its `ObjectState`."""
        from horovod.common.elastic import ObjectState

        state = ObjectState(bcast_object=self.share, get_rank=lambda: self.rank, **values)
        state.register_reset_callbacks([self._take_place])
        return state

    def check_hosts(self, state: Any) -> None:
        """Leave this world of ranks where hosts came or went since it began."""
        from horovod.common.exceptions import HostsUpdatedInterrupt

        try:
            state.check_host_updates()
        except HostsUpdatedInterrupt:
            # Horovod spares those that stay the exchange where hosts only went; one may have come since.
            raise HostsUpdatedInterrupt(False) from None

    def run_elastic(self, state: Any, action: Callable[[], Result]) -> Result:
        """Result of an action, begun anew in each world of ranks."""
        from horovod.torch.elastic import run

        result: Result = run(lambda _: action())(state)
        return result

    @override
    def _take_place(self) -> None:
        super()._take_place()
        note_place(self.rank, self.size)


class DdpComm(Comm):
    """Under torchrun, with gloo on CPUs and NCCL beside it on GPUs."""

    backend = "ddp"

    def __init__(self) -> None:
        import torch.distributed as group

        group.init_process_group("cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo")
        self._group = group
        self.rank, self.size = group.get_rank(), group.get_world_size()
        self.local_rank = int(os.environ.get("LOCAL_RANK", "0"))
        self.local_size = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))

    @override
    def wrap(self, model: nn.Module, *, half: bool = False) -> nn.Module:
        replica = nn.parallel.DistributedDataParallel(model, forward_sync_buffers=False)
        if half:
            replica.register_comm_hook(None, fp16_compress_hook)
        return replica

    @override
    def add_up(self, values: Tensor) -> None:
        self._group.all_reduce(values)

    @override
    def share(self, value: Any) -> Any:
        holder = [value]
        self._group.broadcast_object_list(holder, src=0)
        return holder[0]

    @override
    def sum(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        total = torch.from_numpy(values.copy())
        self._group.all_reduce(total)
        return total.numpy()

    @override
    def gather(self, values: NDArray[Any]) -> NDArray[Any]:
        parts: list[Any] = [None] * self.size
        self._group.all_gather_object(parts, values)
        return np.concatenate(parts)

    @override
    def close(self) -> None:
        self._group.destroy_process_group()


def start(backend: Backend = "auto") -> Comm:
    """Join the group that the launcher made.

    Raises
    ------
    InputError
        If the backend asked for is not installed, or its launcher did not start this process.
    """
    launched = launcher()
    wanted = launched if backend == "auto" else backend
    if wanted == "none":
        return Comm()
    if wanted != launched:
        runner = {"horovod": "horovodrun", "ddp": "torchrun"}[wanted]
        raise InputError(
            fault(
                "configuration",
                "run.backend",
                found=f"{wanted} without {runner}",
                wanted=f"a start by {runner}",
            )
        )
    if wanted == "ddp":
        return DdpComm()
    try:
        return ElasticComm() if is_elastic() else HorovodComm()
    except ImportError as error:
        raise InputError(
            fault("environment", "horovod", found=str(error), wanted="deploy/horovod/build.sh run")
        ) from None


def on_leader(comm: Comm, action: Callable[[], Result]) -> Result:
    """The leader's result on every rank, and its failure too: a rank that isn't told of it waits for ever.

    Raises
    ------
    InputError
        On every rank, for what the user can mend.
    LostRankError
        On the other ranks, with the leader's sentence, for whatever else it raised; the leader raises that.
    """
    result: Any = None
    faults: list[str] = []
    failure: Exception | None = None
    if comm.is_leader:
        try:
            result = action()
        except InputError as error:
            faults = error.faults
        except Exception as error:  # noqa: BLE001 - the other ranks are told of it, and it is raised again
            failure = error
    # Only the sentence travels: an exception of some library may not be one that can be pickled.
    told = str(failure) if isinstance(failure, TrainingError) else f"{type(failure).__name__}: {failure}"
    sentence = told if failure else None
    result, faults, sentence = comm.share((result, faults, sentence))
    if faults:
        raise InputError(faults)
    if failure is not None:
        raise failure
    if sentence is not None:
        raise LostRankError(f"the leading rank failed: {sentence}")
    return result  # type: ignore[no-any-return]
