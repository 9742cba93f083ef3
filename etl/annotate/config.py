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

    path: str = Field(
        description="GTF, GFF3 (.gff, .gff3) or BED (.bed, genes in column 4), or a table when `columns` is "
        "given; .gz may be read too"
    )
    columns: GeneColumns | None = Field(
        None, description="names of the table's columns; none for other files"
    )
    biotypes: tuple[str, ...] = Field(
        ("protein_coding",), description="gene biotypes kept from a file that names them; empty keeps all"
    )
    include_mitochondrial: bool = Field(False, description="keep genes on MT")
    properties: PropertiesConfig | None = Field(
        None, description="properties that models may use as priors, such as LOEUF; null: none"
    )


class ScoresConfig(ConfigModel):
    """A table of scores with one row for each variant: .parquet, .ht (Hail), .csv, else tab separated."""

    path: str = Field(
        description="file, or folder of Parquet files or of a Hail Table; text may be .gz or .bgz"
    )
    columns: Annotated[dict[str, str], BeforeValidator(_by_name)] = Field(
        min_length=1, description="numeric columns: a list, or {name that masks use: column of the table}"
    )
    contig: str = Field("contig", description="column; chr1 and 1 are the same")
    position: str = Field("position", description="column; 1-based, as in a VCF")
    ref: str = Field("ref", description="column")
    alt: str = Field("alt", description="column; one allele")


class GroupFile(ConfigModel):
    """Settings of `kind: groups`: a file of another program that names the variants of each gene."""

    format: Literal["regenie", "saige", "epacts"] = Field(description="the program whose file it is")
    path: str = Field(description="regenie: the annotation file; saige, epacts: the group file; .gz too")
    set_list: str | None = Field(
        None, description="regenie's set list: genes have its variants alone; null: all of the annotation"
    )
    masks: str | None = Field(
        None, description="regenie's mask definitions: each is a channel where there is no block `masks`"
    )
    max_frequency: float = Field(
        0.01, gt=0, le=1, description="of the masks of `masks`: frequency up to this (regenie's default bin)"
    )
    combine: Literal["max", "sum", "comphet"] = Field(
        "max", description="of the masks of `masks`: regenie's --build-mask, whose default is max"
    )
    ids: str | None = Field(
        None,
        description=".bim or .pvar that says which variants the file's ids are; null: CHR:POS:REF:ALT",
    )
    classes: dict[str, str] = Field(
        default_factory=dict, description="annotation in the file -> variant class that masks count"
    )

    @model_validator(mode="after")
    def _of_regenie(self) -> GroupFile:
        if self.format != "regenie" and (self.set_list or self.masks):
            raise ValueError("set_list and masks with format regenie alone")
        own = {"max_frequency", "combine"} & self.model_fields_set
        if (
            own
            and self.masks is None
            and any(getattr(self, name) != type(self).model_fields[name].default for name in own)
        ):
            raise ValueError("max_frequency and combine with masks, the file whose masks they are of")
        return self


Kind = Literal["csq", "ann", "eff", "bcsq", "intervals", "groups"]

INFO_FIELDS: dict[Kind, str] = {"csq": "CSQ", "ann": "ANN", "eff": "EFF", "bcsq": "BCSQ"}
"""Kinds that are INFO fields of the variants' file, and the name that their program gives the field."""

LOSS_FIELDS = ("LOF", "NMD")
"""INFO fields that SnpEff writes beside ANN and EFF: genes that lose function, or whose transcripts decay."""


class AnnotationConfig(ConfigModel):
    """How the consequences of a variant are found."""

    kind: Kind = Field(
        "csq",
        description="csq: VEP; ann, eff: SnpEff; bcsq: bcftools; groups: a group file of regenie, SAIGE or "
        "EPACTS; intervals: the genes that the variant lies in, class `any`",
    )
    field: str | None = Field(
        None, description="INFO field; null: the one that the program writes (CSQ, ANN, EFF, BCSQ)"
    )
    csq_fields: tuple[str, ...] | None = Field(
        None, description="sub-fields in order, when the header's description does not list them"
    )
    transcripts: Literal["worst", "canonical", "mane"] = Field(
        "worst",
        description="which of a gene's transcripts of VEP counts: the worst; the canonical one; MANE Select; "
        "each with what comes before it here where a variant's entries have none",
    )
    protein_coding_only: bool = Field(
        True, description="use transcripts of biotype protein_coding only, where a biotype is written"
    )
    loftee_flags: Literal["keep", "low_confidence"] = Field(
        "keep", description="class of variants that LOFTEE calls HC with a flag in LoF_flags: plof, or as LC"
    )
    features: Literal["gene", "exon", "CDS"] = Field(
        "gene", description="intervals: which of the gene file's (GTF, GFF3) count as parts of a gene"
    )
    padding: int = Field(0, ge=0, le=1_000_000, description="bp added to both ends of an interval")
    groups: GroupFile | None = Field(None, description="the file of `kind: groups`")
    scores: ScoresConfig | None = Field(
        None, description="scores joined by contig, position and alleles, beside those in the annotation"
    )

    @property
    def info_field(self) -> str | None:
        """The INFO field with the annotation; None where it comes from elsewhere."""
        return (self.field or INFO_FIELDS[self.kind]) if self.kind in INFO_FIELDS else None

    @property
    def further_fields(self) -> tuple[str, ...]:
        """INFO fields that are read beside it."""
        return LOSS_FIELDS if self.kind in ("ann", "eff") else ()

    @model_validator(mode="before")
    @classmethod
    def _groups_settings(cls, settings: Any) -> Any:
        """`kind: groups` is written flat: what belongs to the group file goes there."""
        if not isinstance(settings, dict) or settings.get("kind") != "groups" or "groups" in settings:
            return settings
        own = {name: value for name, value in settings.items() if name in GroupFile.model_fields}
        rest = {name: value for name, value in settings.items() if name not in GroupFile.model_fields}
        return rest | {"groups": own}

    @model_validator(mode="after")
    def _fits_the_kind(self) -> AnnotationConfig:
        if (self.kind == "groups") != (self.groups is not None):
            raise ValueError("format and path with kind groups, and with no other")
        if self.transcripts != "worst" and self.kind != "csq":
            raise ValueError(f"transcripts: worst with kind {self.kind}: it marks no transcript")
        if self.features != "gene" and self.kind != "intervals":
            raise ValueError("features with kind intervals alone")
        return self
