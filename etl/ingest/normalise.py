"""Splitting multi-allelic records in the same pass that reads them.

`hl.split_multi_hts` reads its input twice (once for records whose position moves, once for the rest); on a
VCF that doubles the dearest step. This is the same rule for one pass; a test compares the two.
"""

from __future__ import annotations

import hail as hl


def split_alleles(mt: hl.MatrixTable) -> hl.MatrixTable:
    """One row per alternate allele, in the order of the records, not yet keyed by the new alleles.

    Parameters
    ----------
    mt
        Rows keyed by locus and alleles; entries with GT and any of AD, DP, GQ, PL.

    Returns
    -------
    hail.MatrixTable
        Rows with `old_locus`, `old_alleles`, `a_index` (1-based place in `old_alleles`), and the minimal
        representation `new_locus`, `new_alleles`. Entries are downcoded: other alternates count as
        reference; AD sums them into the reference; PL is the least of those that downcode alike; GQ
        follows from PL. DP is kept. Missing stays missing.
    """
    mt = mt.annotate_rows(
        old_locus=mt.locus, old_alleles=mt.alleles, a_index=hl.range(1, hl.len(mt.alleles))
    ).explode_rows("a_index")
    pair = hl.array([mt.old_alleles[0], mt.old_alleles[mt.a_index]])
    minimal = hl.if_else(
        (hl.len(mt.old_alleles) == 2) | ~is_sequence(pair[1]),
        hl.struct(locus=mt.old_locus, alleles=pair),
        hl.min_rep(mt.old_locus, pair),
    )
    mt = mt.annotate_rows(new_locus=minimal.locus, new_alleles=minimal.alleles)
    return mt.annotate_entries(**_downcoded(mt))


def is_sequence(allele: hl.StringExpression) -> hl.BooleanExpression:
    """Whether an allele is written in bases: not symbolic such as <DEL>, not the star, no breakend."""
    return allele.matches("^[ACGTNacgtn]+$")


def key_by_minimal(mt: hl.MatrixTable) -> hl.MatrixTable:
    """Key split rows by their minimal representation; sorts only where splitting moved a row."""
    mt = mt.key_rows_by(locus=mt.new_locus, alleles=mt.new_alleles)
    return mt.drop("new_locus", "new_alleles")


def _downcoded(mt: hl.MatrixTable) -> dict[str, hl.Expression]:
    biallelic = hl.len(mt.old_alleles) == 2
    split: dict[str, hl.Expression] = {"GT": hl.if_else(biallelic, mt.GT, hl.downcode(mt.GT, mt.a_index))}
    if "AD" in mt.entry:
        alternate = mt.AD[mt.a_index]
        downcoded = hl.or_missing(hl.is_defined(mt.AD), [hl.sum(mt.AD) - alternate, alternate])
        split["AD"] = hl.if_else(biallelic, mt.AD, downcoded)
    if "PL" in mt.entry:
        split["PL"] = hl.if_else(biallelic, mt.PL, _downcode_pl(mt))
        if "GQ" in mt.entry:
            split["GQ"] = hl.if_else(biallelic, mt.GQ, hl.gq_from_pl(split["PL"]))
    return split


def _downcode_pl(mt: hl.MatrixTable) -> hl.ArrayExpression:
    def least(n_alternate: int) -> hl.Int32Expression:
        alike = hl.range(hl.len(mt.PL)).filter(
            lambda index: (
                hl.downcode(hl.unphased_diploid_gt_index_call(index), mt.a_index).n_alt_alleles()
                == n_alternate
            )
        )
        return hl.min(alike.map(lambda index: mt.PL[index]))

    return hl.or_missing(hl.is_defined(mt.PL), hl.array([least(n) for n in range(3)]))
