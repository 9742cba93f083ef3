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
from numpy.typing import NDArray

from etl.cohort.calls import Calls, keep_people, read_calls
from etl.cohort.passes import IS_GOOD_SITE, Parts, rewrite_parts
from etl.cohort.schema import COHORT_SCHEMA, FAILED, HAPLOID_ALT, HET, HOM_ALT, KEY, NOT_CALLED
from etl.frames import read_arrow
from etl.genome import GenomeName
from etl.qc.long_range_ld import outside_long_range_ld
from etl.qc.plink import HET_BITS, HOM_ALT_BITS, HOM_REF_BITS, MISSING_BITS, Markers, pack, packed_width
from etl.thresholds import RelatednessThresholds

VARIANTS_AT_ONCE = 256
"""Markers that a task unpacks together: here every person has a slot."""

CANDIDATE_COLUMNS = (*KEY, "person", "call")
CANDIDATE_SCHEMA = pa.schema(
    [
        *(COHORT_SCHEMA.field(name) for name in KEY),
        pa.field("packed", pa.binary()),
        pa.field("draw", pa.uint64()),
    ]
)
"""A possible marker: genotypes of the people kept in PLINK's bits, and its place in the draw."""

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
    where = _may_be_common(len(people), thresholds) & outside_long_range_ld(selection.reference)
    packing = partial(pack_candidates, index_P=index_P, thresholds=thresholds, seed=selection.seed)
    # By way of files: what Spark hands to the driver as a result is limited.
    rewrite_parts(Parts(cohort, CANDIDATE_COLUMNS, where), scratch, CANDIDATE_SCHEMA, packing)
    return _in_genome_order(_drawn(scratch, thresholds.max_markers), people)


def _may_be_common(n_people: int, thresholds: RelatednessThresholds) -> pc.Expression:
    """What a marker must fulfil over everybody: the lists of others, nearly all, need not be read."""
    homozygous = pc.field("n_hom_alt") + pc.field("n_haploid_alt")
    carried = pc.field("n_het") + homozygous + homozygous
    least = 2 * thresholds.min_marker_maf * thresholds.min_marker_call_rate * n_people
    return IS_GOOD_SITE & (pc.field("region") == "autosome") & (carried >= math.floor(least))


def pack_candidates(
    batches: Iterator[pa.RecordBatch],
    *,
    index_P: NDArray[np.int32],
    thresholds: RelatednessThresholds,
    seed: int,
) -> Generator[pa.RecordBatch, None, None]:
    """What a task does: the variants that may be markers, in batches of CANDIDATE_SCHEMA.

    Call rate and frequency are those of the people who are kept.
    """
    n_people = int(index_P.max(initial=-1)) + 1
    for whole in batches:
        for first in range(0, whole.num_rows, VARIANTS_AT_ONCE):
            batch = whole.slice(first, VARIANTS_AT_ONCE)
            calls = keep_people(read_calls(batch), index_P)
            keys = batch.select(KEY).to_pylist()
            fits_V = _may_be_marker(calls, n_people, thresholds)
            fits_V &= np.fromiter((_is_snv(key["ref"], key["alt"]) for key in keys), bool, len(keys))
            bits_VP = np.full((batch.num_rows, n_people), HOM_REF_BITS, dtype=np.uint8)
            bits_VP[calls.variant_E, calls.person_E] = _BITS[calls.call_E]
            chosen = np.flatnonzero(fits_V)
            columns = {
                **{name: [keys[place][name] for place in chosen] for name in KEY},
                "packed": [row.tobytes() for row in pack(bits_VP[chosen])],
                "draw": [_draw(keys[place], seed) for place in chosen],
            }
            yield pa.RecordBatch.from_pydict(columns, schema=CANDIDATE_SCHEMA)


def _may_be_marker(calls: Calls, n_people: int, thresholds: RelatednessThresholds) -> NDArray[np.bool_]:
    n_missing_V = np.bincount(calls.variant_E[calls.missing_E], minlength=calls.n_variants)
    n_alleles_V = np.bincount(calls.variant_E, _ALLELES[calls.call_E], minlength=calls.n_variants)
    n_het_V = np.bincount(calls.variant_E[calls.call_E == HET], minlength=calls.n_variants)
    n_called_V = n_people - n_missing_V
    with np.errstate(divide="ignore", invalid="ignore"):
        frequency_V = n_alleles_V / (2 * n_called_V)
    fits_V = n_called_V >= thresholds.min_marker_call_rate * n_people
    fits_V &= np.minimum(frequency_V, 1 - frequency_V) >= thresholds.min_marker_maf
    return fits_V & ~_has_excess_heterozygotes(n_het_V, frequency_V, n_called_V, thresholds.min_marker_hwe_p)


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


def _drawn(scratch: str, n: int) -> pa.Table:
    """The candidates with the lowest draws."""
    draws = read_arrow(scratch, ["draw"])["draw"].to_numpy()
    last = np.sort(draws)[:n].max(initial=0)
    return read_arrow(scratch, [*KEY, "packed"], pc.field("draw") <= pa.scalar(last))


def _in_genome_order(table: pa.Table, people: tuple[str, ...]) -> Markers:
    sites = table.select(KEY).to_pandas()
    chromosome = sites["contig"].str.removeprefix("chr").astype(int)
    order = sites.assign(chromosome=chromosome).sort_values(["chromosome", "position", "ref", "alt"]).index
    rows = table["packed"].to_pylist()
    packed = np.frombuffer(b"".join(rows[place] for place in order), dtype=np.uint8)
    packed = packed.reshape(len(order), packed_width(len(people)))
    return Markers(sites.loc[order].reset_index(drop=True), people, packed)
