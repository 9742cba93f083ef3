"""A Hail VDS, sparse as gVCFs are: reference calls come from reference blocks, allele numbers are local.

Hail fills reference blocks in at every variant (`hl.vds.to_dense_mt`) and writes a VCF in shards.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from etl.ingest.source import CallsHeader, Reference
from etl.ingest.sources.hail_tables import EXPORTED_NUMBERS, METADATA, read_table_type, type_faults
from etl.ingest.sources.matrix_table import HailSource, hail_header

if TYPE_CHECKING:
    import hail as hl

LOCAL = {"GT": "LGT", "AD": "LAD", "PL": "LPL"}
"""Fields by global allele numbers -> the same by local ones."""


class VdsSource(HailSource):
    """A VDS as Hail's combiner writes it, not split."""

    people_field: ClassVar[str] = "column key of variant_data"
    metadata: ClassVar[tuple[str, ...]] = tuple(
        f"{part}/{name}"
        for part in ("variant_data", "reference_data")
        for name in (METADATA, f"rows/rows/{METADATA}", f"cols/rows/{METADATA}")
    )

    def read_header(self, path: str, reference: Reference) -> tuple[CallsHeader, list[str]]:
        """Types of the rows and entries of both of its tables."""
        variants = read_table_type(f"{path}/variant_data", "input.vds")
        blocks = read_table_type(f"{path}/reference_data", "input.vds")
        faults = type_faults(f"{path}/variant_data", variants, reference.name, ("LGT", "GT"))
        has = variants.entry.keys() | ({"DP"} if "MIN_DP" in blocks.entry else set())
        fields = ["GT"]
        fields += [name for name in EXPORTED_NUMBERS if name in has or LOCAL.get(name) in variants.entry]
        return hail_header(path, variants, tuple(fields)), faults

    def table(self, path: str, max_alleles: int) -> hl.MatrixTable:
        """Dense calls by global allele numbers."""
        import hail as hl

        vds = hl.vds.read_vds(path)
        variants, blocks = vds.variant_data, vds.reference_data
        if "DP" not in blocks.entry and "MIN_DP" in blocks.entry:
            # The least depth of a block is what all its calls have at least.
            blocks = blocks.annotate_entries(DP=blocks.MIN_DP)
        wanted = {"LA", "LGT", "GT", "LAD", "AD", "DP", "GQ", "LPL", "PL"}
        variants = variants.select_entries(*[name for name in variants.entry if name in wanted])
        kept = {"LEN", "END", "LGT", "GT", "DP", "GQ"}
        blocks = blocks.select_entries(*[name for name in blocks.entry if name in kept])
        dense = hl.vds.to_dense_mt(hl.vds.VariantDataset(blocks, variants))
        return dense.annotate_entries(**_global_fields(dense, max_alleles))


def _global_fields(dense: hl.MatrixTable, max_alleles: int) -> dict[str, hl.Expression]:
    import hail as hl

    fields: dict[str, hl.Expression] = {}
    n_alleles = hl.len(dense.alleles)
    if "GT" not in dense.entry:
        # A reference block has no local alleles, and its only allele has the same number everywhere.
        fields["GT"] = hl.if_else(
            hl.is_defined(dense.LA), hl.vds.lgt_to_gt(dense.LGT, dense.LA), dense.LGT, missing_false=True
        )
    if "AD" not in dense.entry and "LAD" in dense.entry:
        fields["AD"] = hl.vds.local_to_global(dense.LAD, dense.LA, n_alleles, 0, "R")
    if "PL" not in dense.entry and "LPL" in dense.entry:
        # Unknown, not unlikely: split again, an allele of others alone must leave a person's own GQ.
        unknown = hl.missing(hl.tint32)
        likelihoods = hl.vds.local_to_global(dense.LPL, dense.LA, n_alleles, unknown, "G")
        # They grow with the square of the alleles, and sites of more than these are not used.
        fields["PL"] = hl.or_missing(n_alleles <= max_alleles, likelihoods)
    return fields
