"""From the scale of a cohort to partitions, memory, cores, storage and time. Computes; prints nothing."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

from etl.session import SHUFFLES_PER_CORE, VALUES_PER_PARTITION
from etl.sizing import costs
from etl.sizing.costs import COSTS
from etl.sizing.scale import Scale

EXECUTOR_CORES = 4
"""Tasks that share an executor's Java: fewer waste its memory, more wait for one another's garbage."""

MOST_CORES = 512
TASK_SECONDS = 1_200
"""Where no cores are named, so many that the tasks of all steps end within 20 minutes, up to `MOST_CORES`."""

RANGES_PER_CORE = 8
SMALLEST_RANGE, LARGEST_RANGE = 2**20, 64 * 2**20
"""As the ingest step cuts files (etl.steps.ingest, etl.ingest.ranges)."""

CLUSTER_START = 45.0
"""Seconds until YARN has started a driver and executors: assumed (30 to 60)."""

FASTER, SLOWER = 0.7, 2.5
"""The range of the expected time: assumed, for other processors, a store that is far, neighbours, and costs
that were measured on cohorts much smaller."""

MIB = 2**20


@dataclass(frozen=True, kw_only=True)
class ClusterSize:
    """What to ask of a cluster; bytes, seconds, and MiB where a name says so."""

    cores: int
    executors: int
    executor_cores: int
    partitions: int
    """Of the ingest step, and of every pass over the cohort after it."""
    shuffle_partitions: int
    export_partitions: int
    """Of `export: [matrix_table]`."""
    executor_heap_mib: int
    executor_overhead_mib: int
    """Python workers, which do the work, and what Java takes beside its heap."""
    driver_heap_mib: int
    driver_overhead_mib: int
    """The driver's Python: in YARN's container in cluster mode, on the machine that submits in client."""
    shuffle_bytes: float
    cohort_bytes: float
    steps_bytes: float
    """Of all steps, the cohort among them."""
    dataset_bytes: float
    step_seconds: dict[str, float]
    start_seconds: float

    @property
    def seconds(self) -> float:
        """Expected, start-up included."""
        return self.start_seconds + sum(self.step_seconds.values())

    @property
    def seconds_range(self) -> tuple[float, float]:
        """From a fast cluster to a slow one."""
        return FASTER * self.seconds, SLOWER * self.seconds

    @property
    def core_hours(self) -> float:
        """Cores held × time."""
        return self.cores * self.seconds / 3600


def size_cluster(
    scale: Scale,
    *,
    cores: int | None = None,
    stored_bytes: float | None = None,
    start_seconds: float = CLUSTER_START,
) -> ClusterSize:
    """What a run wants.

    Parameters
    ----------
    scale
        Of the cohort.
    cores
        Of all executors together, rounded up to whole executors; None: chosen by the work of the tasks.
    stored_bytes
        Of the calls' files; None: those of a bgzipped VCF with GT, AD, DP, GQ and PL.
    start_seconds
        Before the first step.
    """
    wanted = cores if cores is not None else _chosen_cores(scale)
    executor_cores = min(EXECUTOR_CORES, wanted)
    executors = ceil(wanted / executor_cores)
    cores = executors * executor_cores
    size = stored_bytes if stored_bytes is not None else costs.VCF_BYTES_PER_GENOTYPE * scale.genotypes
    partitions = ingest_partitions(size, cores)
    cohort = costs.cohort_bytes(scale)
    return ClusterSize(
        cores=cores,
        executors=executors,
        executor_cores=executor_cores,
        partitions=partitions,
        shuffle_partitions=SHUFFLES_PER_CORE * cores,
        export_partitions=max(SHUFFLES_PER_CORE * cores, scale.genotypes // VALUES_PER_PARTITION),
        executor_heap_mib=_round_up(costs.executor_heap_bytes(executor_cores) / MIB, 512),
        executor_overhead_mib=_round_up(
            (costs.JAVA_BESIDE_HEAP + executor_cores * costs.worker_bytes(scale, partitions)) / MIB, 512
        ),
        driver_heap_mib=_round_up(costs.driver_heap_bytes(scale) / MIB, 512),
        driver_overhead_mib=_round_up((costs.JAVA_BESIDE_HEAP + costs.driver_bytes(scale)) / MIB, 512),
        shuffle_bytes=costs.shuffle_bytes(scale),
        cohort_bytes=cohort,
        steps_bytes=cohort + costs.later_steps_bytes(scale),
        dataset_bytes=costs.dataset_bytes(scale),
        step_seconds={name: cost.seconds(scale, cores) for name, cost in COSTS.items()},
        start_seconds=start_seconds,
    )


def ingest_partitions(stored_bytes: float, cores: int) -> int:
    """Ranges of files that can be cut: some for each core, none too small to be worth a task or too large."""
    width = min(max(stored_bytes / (RANGES_PER_CORE * cores), SMALLEST_RANGE), LARGEST_RANGE)
    return max(1, ceil(stored_bytes / width))


def _chosen_cores(scale: Scale) -> int:
    work = sum(cost.core_seconds(scale) for cost in COSTS.values())
    return min(max(_round_up(work / TASK_SECONDS, EXECUTOR_CORES), EXECUTOR_CORES), MOST_CORES)


def _round_up(value: float, unit: int) -> int:
    return ceil(value / unit) * unit
