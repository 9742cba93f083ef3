"""What the ETL's steps cost, as measured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from etl.sizing.scale import Scale

Unit = Literal[
    "genotypes", "listed", "variants", "people", "people_genes", "sums", "marker_genotypes", "marker_pairs"
]


@dataclass(frozen=True)
class Cost:
    """Seconds in proportion to a property of the scale."""

    unit: Unit
    seconds_per_million: float

    def seconds(self, scale: Scale) -> float:
        """Of one core."""
        amount = _sums(scale) if self.unit == "sums" else getattr(scale, self.unit)
        return float(amount) * self.seconds_per_million / 1e6


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
    "01_ingest": StepCost(fixed=6.1, tasks=(Cost("genotypes", 0.34),)),
    "02_sample_metrics": StepCost(fixed=2.2, tasks=(Cost("listed", 0.21),), driver=(Cost("people", 290),)),
    "03_relatedness": StepCost(
        fixed=4.1,
        tasks=(Cost("listed", 0.17), Cost("marker_pairs", 0.00018)),
        driver=(Cost("marker_genotypes", 0.50),),
    ),
    "04_ancestry": StepCost(fixed=0.0, driver=(Cost("marker_genotypes", 0.88),)),
    "05_variant_qc": StepCost(fixed=2.8, tasks=(Cost("listed", 0.045), Cost("variants", 26))),
    "06_annotation": StepCost(fixed=1.9, tasks=(Cost("variants", 16),)),
    "07_masks": StepCost(fixed=1.0, tasks=(Cost("variants", 7.1),)),
    "08_aggregation": StepCost(fixed=1.2, tasks=(Cost("listed", 0.090),)),
    "09_dataset": StepCost(fixed=3.9, tasks=(Cost("variants", 48), Cost("sums", 5.1))),
    "10_association": StepCost(fixed=0.2, driver=(Cost("people_genes", 0.047),)),
    "11_report": StepCost(fixed=2.9, tasks=(Cost("variants", 36),), driver=(Cost("people", 320),)),
}
"""By step: least squares over processor seconds of three runs on two cores, those of Python workers and Java
counted as tasks' and those of the driver's Python as the driver's. The runs: 500 people × 13,079 variants,
1,000 × 28,160 and 2,000 × 41,368 (conf/simulate/bench.yaml, conf/etl/demo.yaml).

Two are from elsewhere, as those cohorts are too small to show them: `marker_pairs` from 3,000 and 8,000
people of deploy/bench/kinship.py, `sums` from the exports in docs/speed.md.
"""

SOURCE = (
    "Time, memory and storage are from costs measured on two cores with 500 to 2,000 simulated people, of "
    "kinship with 8,000 (etl/sizing/costs.py). The range is for other machines, stores and neighbours."
)

MB = 10**6
GIB = 2**30

VCF_BYTES_PER_GENOTYPE = 3.2
"""Of bgzipped VCFs with GT, AD, DP, GQ and PL: 3.1 to 3.7 in those runs."""

JAVA_BESIDE_HEAP = 400 * MB
"""What Java takes beside its heap; Spark itself reserves 384 MiB at least. Assumed."""

JAVA_BASE, JAVA_PER_CORE = 1 * GIB, 0.25 * GIB
"""Heap of an executor: driver and executor in one Java took 0.7 to 1.0 GB, whatever the cohort."""

DRIVER_JAVA, DRIVER_JAVA_PER_VARIANT = 2 * GIB, 250
"""Heap of the driver, with Hail. The second is assumed: no growth was seen up to 41,368 variants."""

WORKER, WORKER_PER_CALL = 167 * MB, 318
"""A Python worker, and what a listed call of the part that it reads adds."""

DRIVER, DRIVER_PER_VARIANT = 340 * MB, 500
"""The driver's Python."""
PACKED_COPIES = 3
"""Of the markers, four genotypes to a byte, while they are pruned and written. Counted from the code."""
VALUES_KEPT = 2**27
"""Genotypes that the components keep unpacked, eight bytes each (etl.qc.components)."""

COHORT_PER_VARIANT, COHORT_PER_CALL = 20, 3.9
LATER_PER_VARIANT, LATER_PER_PERSON = 80, 600
"""Tables of the steps after the cohort; the markers come on top."""

SUMS_PER_GENE = 0.026
"""Non-zero features of a person in a gene, over four channels."""
DATASET, DATASET_PER_SUM, DATASET_PER_VARIANT, DATASET_PER_PERSON = 0.45 * MB, 4.3, 22, 100
"""The dataset: lists of features, what describes new people by it, and the table of people."""
SHUFFLED_PER_SUM = 40
"""Features on their way to the part that holds their person, and to sums over people."""


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
    return DATASET + _sums(scale) * DATASET_PER_SUM + scale.variants * DATASET_PER_VARIANT + people


def shuffle_bytes(scale: Scale) -> float:
    """What tasks write for one another."""
    return _sums(scale) * SHUFFLED_PER_SUM


def executor_heap_bytes(cores: int) -> float:
    """Java of an executor: it starts tasks and passes features on; calls never go through it."""
    return JAVA_BASE + cores * JAVA_PER_CORE


def worker_bytes(scale: Scale, partitions: int) -> float:
    """The Python worker of a task, which reads one of so many parts of the cohort."""
    return WORKER + scale.listed / partitions * WORKER_PER_CALL


def driver_heap_bytes(scale: Scale) -> float:
    """Java of the driver."""
    return DRIVER_JAVA + scale.variants * DRIVER_JAVA_PER_VARIANT


def driver_bytes(scale: Scale) -> float:
    """Python of the driver."""
    markers = PACKED_COPIES * scale.marker_genotypes / 4 + 8 * min(scale.marker_genotypes, VALUES_KEPT)
    return DRIVER + scale.variants * DRIVER_PER_VARIANT + markers


def _sums(scale: Scale) -> float:
    return scale.people_genes * SUMS_PER_GENE
