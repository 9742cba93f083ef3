"""Settings of the gene axis and of the annotation. Imports no Hail: checks run before it starts."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from contract.config import ConfigModel
from contract.schema import GENE_SCHEMA


class GeneColumns(ConfigModel):
    """Column names of a gene table (tab separated, with a header; start and end 1-based and closed)."""

    gene_id: str = "gene_id"
    symbol: str | None = "symbol"
    contig: str = "contig"
    start: str = "start"
    end: str = "end"


def _by_name(columns: Any) -> Any:
    if not isinstance(columns, list | tuple):
        return columns
    if twice := sorted({str(name) for name in columns if columns.count(name) > 1}):
        raise ValueError(f"each column once, not {', '.join(twice)} twice")
    return {name: name for name in columns}


class PropertiesConfig(ConfigModel):
    """A table with properties of genes, one row per gene and a header; .csv, else tab separated."""

    path: str = Field(description="path or URL; .gz may be read too")
    gene_id: str | None = Field(None, description="column with Ensembl ids; versions after a dot are ignored")
    symbol: str | None = Field(None, description="column with symbols, where there is none with ids")
    columns: Annotated[dict[str, str], BeforeValidator(_by_name)] = Field(
        min_length=1,
        description="numeric columns to keep: a list, or {name in the dataset: column of the table}",
    )

    @field_validator("columns")
    @classmethod
    def _new_names(cls, columns: dict[str, str]) -> dict[str, str]:
        if taken := [name for name in columns if not name or name in GENE_SCHEMA.names]:
            raise ValueError(f"names that the gene axis has not taken yet, unlike '{taken[0]}'")
        return columns

    @model_validator(mode="after")
    def _one_key(self) -> PropertiesConfig:
        if bool(self.gene_id) == bool(self.symbol):
            raise ValueError("either gene_id or symbol, the column that names the gene")
        return self


class GenesConfig(ConfigModel):
    """Where the gene axis comes from."""

    path: str = Field(description="GTF, or a table when `columns` is given; .gz may be read too")
    columns: GeneColumns | None = Field(None, description="names of the table's columns; none for a GTF")
    biotypes: tuple[str, ...] = Field(
        ("protein_coding",), description="gene biotypes kept from a GTF that names them; empty keeps all"
    )
    include_mitochondrial: bool = Field(False, description="keep genes on MT")
    properties: PropertiesConfig | None = Field(
        None, description="properties that models may use as priors, such as LOEUF; null: none"
    )


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
