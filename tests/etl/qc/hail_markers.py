"""PLINK files as Hail reads them: what the numpy code is compared with."""

import hail as hl


def markers_matrix(prefix: str, reference: str) -> hl.MatrixTable:
    """GT by `s`, from the files that `etl.qc.plink` writes."""
    mt = hl.import_plink(
        *(f"{prefix}.{end}" for end in ("bed", "bim", "fam")),
        reference_genome=reference,
        contig_recoding={},
        delimiter="\\t",
        quant_pheno=True,
    )
    return mt.select_cols().select_rows()
