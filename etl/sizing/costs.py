"""What the ETL's steps cost, as measured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from etl.sizing.scale import Scale

Unit = Literal["genotypes", "listed", "variants", "people", "marker_genotypes", "marker_pairs"]


@dataclass(frozen=True)
class Cost:
    """Seconds in proportion to a property of the scale."""

    unit: Unit
    seconds_per_million: float

    def seconds(self, scale: Scale) -> float:
        """Of one core."""
        return float(getattr(scale, self.unit)) * self.seconds_per_million / 1e6


@dataclass(frozen=True, kw_only=True)
class StepCost:
    """Seconds of a step: a constant, what tasks do on all cores, what the driver does alone."""

    fixed: float
    tasks: tuple[Cost, ...] = ()
    driver: tuple[Cost, ...] = ()

    def core_seconds(self, scale: Scale) -> float:
        """Of the tasks."""
        return sum(cost.seconds(scale) for cost in self.tasks)

    def seconds(self, scale: Scale, cores: int) -> float:
        """Expected on so many cores."""
        alone = sum(cost.seconds(scale) for cost in self.driver)
        return self.fixed + alone + self.core_seconds(scale) / cores


COSTS: dict[str, StepCost] = {
    "01_ingest": StepCost(fixed=2.0, tasks=(Cost("genotypes", 0.4),)),
    "02_sample_metrics": StepCost(fixed=1.0, tasks=(Cost("listed", 0.4),)),
    "03_relatedness": StepCost(
        fixed=3.0, tasks=(Cost("marker_pairs", 0.0001),), driver=(Cost("marker_genotypes", 0.5),)
    ),
    "04_ancestry": StepCost(fixed=2.0, driver=(Cost("marker_genotypes", 0.5),)),
    "05_variant_qc": StepCost(fixed=4.0, tasks=(Cost("listed", 0.4),)),
    "06_annotation": StepCost(fixed=2.0, tasks=(Cost("variants", 50.0),)),
    "07_masks": StepCost(fixed=1.0, tasks=(Cost("variants", 50.0),)),
    "08_aggregation": StepCost(fixed=1.0, tasks=(Cost("listed", 0.4),)),
    "09_dataset": StepCost(fixed=5.0, tasks=(Cost("variants", 50.0),)),
    "10_association": StepCost(fixed=0.5, driver=(Cost("people", 10.0),)),
    "11_report": StepCost(fixed=3.0, driver=(Cost("variants", 10.0),)),
}
"""By step. Least squares over three runs on two cores (see `SOURCE`), seconds; what tasks do is known from
Spark's event log, and the rest of a step is the driver's. Kinship's pairs were measured on larger cohorts."""

SOURCE = (
    "The time is from costs measured on two cores of one machine (500 to 2,000 simulated people, see "
    "docs/clusters.md), the memory and storage too."
)

GIB = 2**30

VCF_BYTES_PER_GENOTYPE = 3.2
"""Of bgzipped VCFs with GT, AD, DP, GQ and PL: 2.9 to 3.7 in those runs."""

JAVA_BESIDE_HEAP = 0.4 * GIB
"""What Java takes beside its heap; Spark itself reserves 384 MiB at least."""

JAVA_BASE, JAVA_PER_CORE = 1 * GIB, 0.25 * GIB
"""Heap of an executor."""

DRIVER_JAVA, DRIVER_JAVA_PER_VARIANT = 2 * GIB, 500
"""Heap of the driver, with Hail."""

WORKER = 0.25 * GIB
"""A Python worker of any step."""

BATCH_ROWS, LISTED_COPIED = 1024, 21 * 4
"""Variants of a batch (etl.cohort.passes); bytes of a listed call with its columns, four times over. Counted
from the code: in the runs it was too little to measure."""

DRIVER = 0.4 * GIB
DRIVER_PER_VARIANT = 500
PACKED_COPIES = 3
"""Of the markers, four genotypes to a byte, while they are pruned and written."""
VALUES_KEPT = 2**27
"""Genotypes that the components keep unpacked, eight bytes each (etl.qc.components)."""

COHORT_PER_VARIANT, COHORT_PER_CALL = 60, 4.5
LATER_PER_VARIANT, LATER_PER_PERSON = 80, 500
"""Tables of the steps after the cohort; the markers come on top."""

SUMS_PER_GENE = 0.027
"""Non-zero features of a person in a gene, over four channels."""
DATASET_PER_SUM, DATASET_PER_VARIANT, DATASET_PER_PERSON = 4.3, 40, 150
"""The dataset: lists of features, what describes new people by it, and the table of people."""
SHUFFLED_PER_SUM = 42
"""Features on their way to the part that holds their person."""


def cohort_bytes(scale: Scale) -> float:
    """The sparse cohort."""
    return scale.variants * COHORT_PER_VARIANT + scale.listed * COHORT_PER_CALL


def later_steps_bytes(scale: Scale) -> float:
    """The tables of the steps after it."""
    markers = scale.marker_genotypes / 4
    return scale.variants * LATER_PER_VARIANT + scale.people * LATER_PER_PERSON + markers


def dataset_bytes(scale: Scale) -> float:
    """The dataset, with its reference for new people."""
    people = scale.people * DATASET_PER_PERSON
    return _sums(scale) * DATASET_PER_SUM + scale.variants * DATASET_PER_VARIANT + people


def shuffle_bytes(scale: Scale) -> float:
    """What tasks write for one another."""
    return _sums(scale) * SHUFFLED_PER_SUM


def executor_heap_bytes(cores: int) -> float:
    """Java of an executor: it starts tasks and passes features on; calls never go through it."""
    return JAVA_BASE + cores * JAVA_PER_CORE


def worker_bytes(scale: Scale) -> float:
    """The Python worker of a task."""
    return WORKER + BATCH_ROWS * scale.listed / scale.variants * LISTED_COPIED


def driver_heap_bytes(scale: Scale) -> float:
    """Java of the driver."""
    return DRIVER_JAVA + scale.variants * DRIVER_JAVA_PER_VARIANT


def driver_bytes(scale: Scale) -> float:
    """Python of the driver."""
    markers = PACKED_COPIES * scale.marker_genotypes / 4 + 8 * min(scale.marker_genotypes, VALUES_KEPT)
    return DRIVER + scale.variants * DRIVER_PER_VARIANT + markers


def _sums(scale: Scale) -> float:
    return scale.people * scale.genes * SUMS_PER_GENE
