"""Markers for kinship and ancestry: chosen from the cohort, then thinned to linkage equilibrium."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pyspark.sql import DataFrame
from pyspark.sql.functions import col, length, levenshtein, lit, xxhash64
from pyspark.sql.functions import max as greatest

from etl.cohort.calls import keep_people, read_calls
from etl.cohort.passes import GOOD_SITE, read_cohort, run_kernel
from etl.cohort.schema import FAILED, HAPLOID_ALT, HET, HOM_ALT, KEY, NOT_CALLED
from etl.qc.plink import HET_BITS, HOM_ALT_BITS, HOM_REF_BITS, MISSING_BITS, Markers, pack, packed_width
from etl.thresholds import RelatednessThresholds

VARIANTS_AT_ONCE = 256
"""Markers that a task unpacks together: here every person has a slot."""

_BITS = np.empty(5, dtype=np.uint8)
_BITS[[NOT_CALLED, FAILED, HET, HOM_ALT, HAPLOID_ALT]] = (
    *(MISSING_BITS, MISSING_BITS, HET_BITS),
    *(HOM_ALT_BITS, HOM_ALT_BITS),
)
"""PLINK's bits by the code of a call; autosomes are diploid, so a haploid call is a homozygous one."""


def select_markers(
    cohort: str, kept_P: Sequence[str | None], thresholds: RelatednessThresholds, scratch: str, *, seed: int
) -> Markers:
    """Common, well-called autosomal SNVs, with a genotype for everybody who is kept; before LD pruning.

    Parameters
    ----------
    cohort
        Folder of the cohort; its counts are those of everybody in the VC
    kept_P
        Along the VCF's people: the sample id, None for people to leave out.
    thresholds
        Frequencies, call rate, and the number of markers that a seeded draw leaves.
    scratch
        A folder to write in that does not exist yet.
    seed
        Of the draw: the markers with the lowest hash of key and seed stay, whatever the partitions are.
    """
    people = tuple(name for name in kept_P if name is not None)
    index_P = np.full(len(kept_P), -1, dtype=np.int32)
    index_P[[name is not None for name in kept_P]] = np.arange(len(people))
    frame = _drawn(_candidates(cohort, len(kept_P), thresholds), thresholds.max_markers, seed)
    kernel = partial(pack_genotypes, index_P=index_P)
    schema = "contig string, position int, ref string, alt string, packed binary"
    # By way of files: what Spark hands to the driver as a result is limited.
    run_kernel(frame.select(*KEY, "person", "call"), kernel, schema).write.parquet(scratch)
    return _in_genome_order(pq.read_table(scratch), people)


def _candidates(cohort: str, n_people: int, thresholds: RelatednessThresholds) -> DataFrame:
    frame = read_cohort(
        cohort,
        (*KEY, "n_called", "n_het", "n_hom_alt", "n_haploid_alt", "person", "call"),
        f"{GOOD_SITE} and region = 'autosome'",
    )
    n_alternate = col("n_het") + 2 * (col("n_hom_alt") + col("n_haploid_alt"))
    frequency = n_alternate / (2 * col("n_called"))
    low = thresholds.min_marker_maf
    return frame.where(
        (length("ref") == length("alt"))
        & (levenshtein("ref", "alt") == 1)  # one base differs, as in `hl.is_snp`
        & (col("n_called") >= thresholds.min_marker_call_rate * n_people)
        & (frequency >= low)
        & (frequency <= 1 - low)
    )


def _drawn(frame: DataFrame, n_markers: int, seed: int) -> DataFrame:
    draw = xxhash64(*KEY, lit(seed))
    lowest = frame.select(draw.alias("draw")).orderBy("draw").limit(n_markers)
    last = lowest.agg(greatest("draw")).first()
    assert last is not None
    return frame.where(draw <= lit(last[0]))


def pack_genotypes(
    batches: Iterator[pa.RecordBatch], *, index_P: NDArray[np.int32]
) -> Iterator[pa.RecordBatch]:
    """Kernel: the key of each variant, and the genotypes of the people kept in PLINK's bits."""
    n_people = int(index_P.max(initial=-1)) + 1
    for whole in batches:
        for first in range(0, whole.num_rows, VARIANTS_AT_ONCE):
            batch = whole.slice(first, VARIANTS_AT_ONCE)
            calls = keep_people(read_calls(batch), index_P)
            bits_VP = np.full((batch.num_rows, n_people), HOM_REF_BITS, dtype=np.uint8)
            bits_VP[calls.variant_E, calls.person_E] = _BITS[calls.call_E]
            packed = pa.array([row.tobytes() for row in pack(bits_VP)], pa.binary())
            yield pa.RecordBatch.from_arrays([*map(batch.column, KEY), packed], [*KEY, "packed"])


def _in_genome_order(table: pa.Table, people: tuple[str, ...]) -> Markers:
    sites = table.select(KEY).to_pandas()
    chromosome = sites["contig"].str.removeprefix("chr").astype(int)
    order = sites.assign(chromosome=chromosome).sort_values(["chromosome", "position", "ref", "alt"]).index
    rows = table["packed"].to_pylist()
    packed = np.frombuffer(b"".join(rows[place] for place in order), dtype=np.uint8)
    packed = packed.reshape(len(order), packed_width(len(people)))
    return Markers(sites.loc[order].reset_index(drop=True), people, packed)


def prune(markers: Markers, thresholds: RelatednessThresholds) -> Markers:
    """Markers in approximate linkage equilibrium, chosen from the start of each chromosome to its end.

    A marker stays unless its squared correlation with one that stayed, at most the window's base pairs
    before it, reaches the limit; without variation among the people it goes. Missing genotypes stand at the
    mean. This is the rule of `hl.ld_prune` within a partition.
    """
    kept: list[int] = []
    window: deque[tuple[str, int, NDArray[np.float32]]] = deque()
    sites = zip(markers.sites["contig"], markers.sites["position"], strict=True)
    for place, (contig, position) in enumerate(sites):
        standard_P = _standardised(markers.dosages(place, place + 1)[0])
        if standard_P is None:
            continue
        while window and (window[0][0] != contig or position - window[0][1] > thresholds.window_bp):
            window.popleft()
        # The nearest first: they are the likeliest to be correlated.
        if all(float(standard_P @ other_P) ** 2 < thresholds.max_r2 for _, _, other_P in reversed(window)):
            kept.append(place)
            window.append((contig, position, standard_P))
    return markers.take(np.array(kept, dtype=np.int64))


def _standardised(dosage_P: NDArray[np.float64]) -> NDArray[np.float32] | None:
    """Mean 0 and length 1, so that a product is a correlation; None where nothing varies."""
    if np.isnan(dosage_P).all():
        return None
    centred_P = np.nan_to_num(dosage_P - np.nanmean(dosage_P))
    length = np.linalg.norm(centred_P)
    return (centred_P / length).astype(np.float32) if length > 0 else None
