"""Columns of the sparse cohort, and the codes of its calls.

One row per alternate allele. The list columns run in parallel: they name the people whose call is not a
passing homozygous reference, in ascending order of their place in the VCF's header. Nobody else has a slot,
so that 500,000 people cost what their other calls cost.
"""

from __future__ import annotations

import pyarrow as pa

N_CODES = 5
NOT_CALLED, HET, HOM_ALT, HAPLOID_ALT, FAILED = range(N_CODES)
"""Codes of the column `call`: no call in the file; diploid calls with one and two alternate alleles; a
haploid call of the alternate allele; a call that failed the genotype rules, whatever it was."""

MISSING = -1
"""AD, DP or GQ that the file does not give; real ones are never negative."""

RULES = ("depth", "genotype_quality", "allele_balance", "allelic_reads")
"""Genotype rules in the order of the column `failed`."""

REGIONS = ("autosome", "par", "x", "y", "mt")
"""Values of the column `region`: x and y leave the pseudo-autosomal regions out."""

VARIANT_COLUMNS = [
    # A number of this table's own: range << 32 | row in it. It joins tables of one run, nothing else.
    pa.field("variant", pa.int64()),
    pa.field("contig", pa.string()),
    pa.field("position", pa.int32()),  # 1-based, of the minimal representation
    pa.field("ref", pa.string()),
    pa.field("alt", pa.string()),
    pa.field("region", pa.string()),
    # The record that it was split from.
    pa.field("old_position", pa.int32()),
    pa.field("old_alleles", pa.list_(pa.string())),
    pa.field("a_index", pa.int32()),  # 1-based place of the alternate allele in old_alleles
    pa.field("filters", pa.list_(pa.string())),  # empty: PASS or not filtered
    pa.field("annotation", pa.list_(pa.string())),  # entries of the INFO field; null where it is absent
    pa.field("site_reasons", pa.list_(pa.string())),  # rules that need no genotypes; empty: a good site
]

COUNT_COLUMNS = [
    # Over all people of the VCF, after the genotype rules.
    pa.field("n_called", pa.int32()),  # homozygous and haploid reference calls among them
    pa.field("n_het", pa.int32()),
    pa.field("n_hom_alt", pa.int32()),
    pa.field("n_haploid_alt", pa.int32()),
    pa.field("n_not_called", pa.int32()),  # in the file, before the rules
    pa.field("failed", pa.list_(pa.int32())),  # calls that fail each of RULES; one may fail several
]

LIST_COLUMNS = [
    pa.field("person", pa.list_(pa.int32())),  # place in the VCF's header, from 0
    pa.field("call", pa.list_(pa.int8())),
    pa.field("ad_ref", pa.list_(pa.int32())),  # reads of all alleles but this one
    pa.field("ad_alt", pa.list_(pa.int32())),
    pa.field("dp", pa.list_(pa.int32())),
    pa.field("gq", pa.list_(pa.int32())),
]

COHORT_SCHEMA = pa.schema(VARIANT_COLUMNS + COUNT_COLUMNS + LIST_COLUMNS)

KEY = ("contig", "position", "ref", "alt")
"""What makes two rows the same variant."""
