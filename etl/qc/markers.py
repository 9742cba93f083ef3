"""Markers for kinship and ancestry, chosen from the cohort; `etl.qc.ld_pruning` thins them."""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import blake2b
from statistics import NormalDist

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from etl.cohort.calls import keep_people, read_calls
from etl.cohort.passes import IS_GOOD_SITE, Parts, map_parts, rewrite_parts
from etl.cohort.schema import COHORT_SCHEMA, FAILED, HAPLOID_ALT, HET, HOM_ALT, KEY, NOT_CALLED
from etl.genome import GenomeName
from etl.qc.long_range_ld import outside_long_range_ld
from etl.qc.plink import HET_BITS, HOM_ALT_BITS, HOM_REF_BITS, MISSING_BITS, Markers, pack, packed_width
from etl.thresholds import RelatednessThresholds

VARIANTS_AT_ONCE = 256
"""Markers that a task unpacks together: here every person has a slot."""

CANDIDATE_COLUMNS = (*KEY, "variant", "person", "call")
MARKER_SCHEMA = pa.schema([*(COHORT_SCHEMA.field(name) for name in KEY), pa.field("packed", pa.binary())])

_BITS = np.empty(5, dtype=np.uint8)
_BITS[[NOT_CALLED, FAILED, HET, HOM_ALT, HAPLOID_ALT]] = (
    *(MISSING_BITS, MISSING_BITS, HET_BITS),
    *(HOM_ALT_BITS, HOM_ALT_BITS),
)
"""PLINK's bits by the code of a call; autosomes are diploid, so a haploid call is a homozygous one."""

_ALLELES = np.zeros(5)
_ALLELES[[HET, HOM_ALT, HAPLOID_ALT]] = 1, 2, 2
"""Alternate alleles likewise."""


@dataclass(frozen=True, kw_only=True)
class Selection:
    """What may be a marker, and which of them are drawn."""

    thresholds: RelatednessThresholds
    """Frequencies, call rate, and the number of markers that a seeded draw leaves."""
    reference: GenomeName
    """Regions of long-range linkage disequilibrium are left out."""
    seed: int
    """Of the draw: the markers with the lowest hash of key and seed stay, whatever the partitions are."""


def select_markers(cohort: str, kept_P: Sequence[str | None], selection: Selection, scratch: str) -> Markers:
    """Common, well-called autosomal SNVs, with a genotype for everybody who is kept; before LD pruning.

    Parameters
    ----------
    cohort
        Folder of the cohort.
    kept_P
        Along the VCF's people: the sample id, None for people to leave out, who count in no rate: a few
        samples of poor quality would cost most markers.
    selection
        Which variants, and how many.
    scratch
        A folder to write in that does not exist yet.
    """
    thresholds = selection.thresholds
    people = tuple(name for name in kept_P if name is not None)
    index_P = np.full(len(kept_P), -1, dtype=np.int32)
    index_P[[name is not None for name in kept_P]] = np.arange(len(people))
    find = partial(find_candidates, index_P=index_P, thresholds=thresholds, seed=selection.seed)
    where = _may_be_common(len(people), thresholds) & outside_long_range_ld(selection.reference)
    may_be = Parts(cohort, CANDIDATE_COLUMNS, where)
    candidates = map_parts(may_be, find).collect()
    draw_V, variant_V = np.concatenate(candidates, axis=1)
    chosen = variant_V[np.argsort(draw_V, kind="stable")[: thresholds.max_markers]].astype(np.int64)
    # By way of files: what Spark hands to the driver as a result is limited.
    packing = partial(pack_genotypes, index_P=index_P)
    drawn = Parts(cohort, (*KEY, "person", "call"), pc.field("variant").isin(pa.array(chosen)))
    rewrite_parts(drawn, scratch, MARKER_SCHEMA, packing)
    return _in_genome_order(pq.read_table(scratch), people)


def _may_be_common(n_people: int, thresholds: RelatednessThresholds) -> pc.Expression:
    """What a marker must fulfil over everybody: the lists of others, nearly all, need not be read."""
    homozygous = pc.field("n_hom_alt") + pc.field("n_haploid_alt")
    carried = pc.field("n_het") + homozygous + homozygous
    least = 2 * thresholds.min_marker_maf * thresholds.min_marker_call_rate * n_people
    return IS_GOOD_SITE & (pc.field("region") == "autosome") & (carried >= math.floor(least))


def find_candidates(
    batches: Iterator[pa.RecordBatch],
    *,
    index_P: NDArray[np.int32],
    thresholds: RelatednessThresholds,
    seed: int,
) -> NDArray[np.uint64]:
    """What a task does: draw and number of the variants that may be markers, 2 × V.

    Call rate and frequency are those of the people who are kept.
    """
    n_people = int(index_P.max(initial=-1)) + 1
    found: list[tuple[int, int]] = []
    for batch in batches:
        calls = keep_people(read_calls(batch), index_P)
        n_missing_V = np.bincount(calls.variant_E[calls.missing_E], minlength=batch.num_rows)
        n_alleles_V = np.bincount(calls.variant_E, _ALLELES[calls.call_E], minlength=batch.num_rows)
        n_called_V = n_people - n_missing_V
        with np.errstate(divide="ignore", invalid="ignore"):
            frequency_V = n_alleles_V / (2 * n_called_V)
        n_het_V = np.bincount(calls.variant_E[calls.call_E == HET], minlength=batch.num_rows)
        good_V = n_called_V >= thresholds.min_marker_call_rate * n_people
        good_V &= ~_has_excess_heterozygotes(n_het_V, frequency_V, n_called_V, thresholds.min_marker_hwe_p)
        good_V &= np.minimum(frequency_V, 1 - frequency_V) >= thresholds.min_marker_maf
        sites = batch.filter(pa.array(good_V)).select([*KEY, "variant"]).to_pylist()
        found += [(_draw(site, seed), site["variant"]) for site in sites if _is_snv(site["ref"], site["alt"])]
    return np.array(found, dtype=np.uint64).reshape(-1, 2).T


def _has_excess_heterozygotes(
    n_het_V: NDArray[np.int64], frequency_V: NDArray[np.float64], n_called_V: NDArray[np.int64], min_p: float
) -> NDArray[np.bool_]:
    """Whether there are more than Hardy-Weinberg equilibrium explains, by the signed root of χ².

    Of mapping artefacts most people look heterozygous, and then alike. Different ancestries and inbreeding
    make heterozygotes fewer: a two-sided test would leave out what tells ancestries apart.
    """
    expected_V = 2 * frequency_V * (1 - frequency_V) * n_called_V
    with np.errstate(divide="ignore", invalid="ignore"):
        excess_V = (n_het_V / expected_V - 1) * np.sqrt(n_called_V)
    return excess_V > -NormalDist().inv_cdf(min_p)


def _is_snv(ref: str, alt: str) -> bool:
    """Whether one base differs, as in `hl.is_snp`."""
    return len(ref) == len(alt) and sum(a != b for a, b in zip(ref, alt, strict=True)) == 1


def _draw(site: Mapping[str, object], seed: int) -> int:
    key = "|".join(str(value) for value in (*(site[name] for name in KEY), seed))
    return int.from_bytes(blake2b(key.encode(), digest_size=8).digest(), "little")


def pack_genotypes(
    batches: Iterator[pa.RecordBatch], *, index_P: NDArray[np.int32]
) -> Generator[pa.RecordBatch, None, None]:
    """What a task does: the key of each variant, and the genotypes of the people kept in PLINK's bits."""
    n_people = int(index_P.max(initial=-1)) + 1
    for whole in batches:
        for first in range(0, whole.num_rows, VARIANTS_AT_ONCE):
            batch = whole.slice(first, VARIANTS_AT_ONCE)
            calls = keep_people(read_calls(batch), index_P)
            bits_VP = np.full((batch.num_rows, n_people), HOM_REF_BITS, dtype=np.uint8)
            bits_VP[calls.variant_E, calls.person_E] = _BITS[calls.call_E]
            packed = pa.array([row.tobytes() for row in pack(bits_VP)], pa.binary())
            yield pa.RecordBatch.from_arrays([*map(batch.column, KEY), packed], schema=MARKER_SCHEMA)


def _in_genome_order(table: pa.Table, people: tuple[str, ...]) -> Markers:
    sites = table.select(KEY).to_pandas()
    chromosome = sites["contig"].str.removeprefix("chr").astype(int)
    order = sites.assign(chromosome=chromosome).sort_values(["chromosome", "position", "ref", "alt"]).index
    rows = table["packed"].to_pylist()
    packed = np.frombuffer(b"".join(rows[place] for place in order), dtype=np.uint8)
    packed = packed.reshape(len(order), packed_width(len(people)))
    return Markers(sites.loc[order].reset_index(drop=True), people, packed)
