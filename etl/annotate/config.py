"""Settings of the gene axis and of the annotation. Imports no Hail: checks run before it starts."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from contract.config import ConfigModel


class GeneColumns(ConfigModel):
    """Column names of a gene table (tab separated, with a header; start and end 1-based and closed)."""

    gene_id: str = "gene_id"
    symbol: str | None = "symbol"
    contig: str = "contig"
    start: str = "start"
    end: str = "end"


class GenesConfig(ConfigModel):
    """Where the gene axis comes from."""

    path: str = Field(description="GTF, or a table when `columns` is given; .gz may be read too")
    columns: GeneColumns | None = Field(None, description="names of the table's columns; none for a GTF")
    biotypes: tuple[str, ...] = Field(
        ("protein_coding",), description="gene biotypes kept from a GTF that names them; empty keeps all"
    )
    include_mitochondrial: bool = Field(False, description="keep genes on MT")


class AnnotationConfig(ConfigModel):
    """How the consequences of a variant are found."""

    kind: Literal["csq", "intervals"] = Field(
        "csq", description="csq: VEP's INFO field; intervals: the genes that the variant lies in, class `any`"
    )
    field: str = Field("CSQ", description="INFO field that VEP wrote")
    csq_fields: tuple[str, ...] | None = Field(
        None, description="sub-fields in order, when the header's description has no `Format:`"
    )
    protein_coding_only: bool = Field(
        True, description="use transcripts with BIOTYPE protein_coding only, where BIOTYPE is present"
    )
    padding: int = Field(0, ge=0, le=1_000_000, description="bp added to both ends of a gene interval")
