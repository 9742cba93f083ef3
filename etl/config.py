"""The ETL's configuration: one YAML file, see conf/etl for commented examples."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator, model_validator
from pydantic_core import PydanticCustomError

from contract.config import ConfigModel, build_config, load_config
from contract.errors import InputError, fault
from etl.aggregate.config import MasksConfig
from etl.annotate.config import AnnotationConfig, GenesConfig
from etl.annotate.group_masks import file_masks
from etl.associate.config import AssociationConfig
from etl.like.settings import settings_like
from etl.settings import merged, with_data
from etl.thresholds import Profile

PROFILES = Path(__file__).resolve().parent.parent / "conf" / "profiles"


def _one_or_many(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


Paths = Annotated[list[str], BeforeValidator(_one_or_many), Field(min_length=1)]
"""Paths, URLs or globs; one may be written without brackets."""

Format = Literal["vcf", "plink", "pgen", "bgen", "matrix_table", "vds"]
FORMATS: tuple[Format, ...] = get_args(Format)
"""Formats of calls, each a key of `input`."""

SETTINGS_OF_FORMATS: dict[str, tuple[Format, ...]] = {
    "sample": ("bgen",),
    "min_probability": ("bgen",),
    "reference_allele": ("plink", "bgen"),
    "half_calls": ("vcf",),
}
"""Keys of `input` that some formats alone have a use for."""


class InputConfig(ConfigModel):
    """The calls, in exactly one format; several files have the same people in one order."""

    vcf: Paths | None = Field(None, description="VCF or BCF files or globs, paths or URLs")
    plink: Paths | None = Field(None, description="PLINK 1: .bed files, with .bim and .fam beside each")
    pgen: Paths | None = Field(None, description="PLINK 2: .pgen files, with .pvar and .psam beside each")
    bgen: Paths | None = Field(None, description="BGEN files of version 1.2 or later (layout 2)")
    matrix_table: str | None = Field(None, description="a Hail MatrixTable, keyed by locus and alleles")
    vds: str | None = Field(None, description="a Hail VDS, as combined from gVCFs")
    sample: str | None = Field(
        None, description="the .sample file of `bgen`; null: the ids that the files hold"
    )
    min_probability: float = Field(
        0.9,
        gt=0.5,
        le=1,
        description="of `bgen`: a genotype of at least this probability is a call, others are missing",
    )
    reference_allele: Literal["a1", "a2", "first", "last"] | None = Field(
        None,
        description="the allele that is the reference where no reference_fasta decides: a1 or a2 of `plink` "
        "(null: a2), the first or last one of `bgen` (null: first)",
    )
    half_calls: Literal["missing", "haploid"] = Field(
        "missing", description="0/. read as no call, or as a haploid call (men on X and Y; no call elsewhere)"
    )
    min_partitions: int | None = Field(
        None, ge=1, description="parts to read the files in; null: several for each core, more by size"
    )

    @model_validator(mode="after")
    def _exactly_one(self) -> InputConfig:
        given = [name for name in FORMATS if getattr(self, name) is not None]
        if len(given) != 1:
            found = " and ".join(given) or "none"
            raise ValueError(f"exactly one of {', '.join(FORMATS)}, not {found}")
        for key, formats in SETTINGS_OF_FORMATS.items():
            if getattr(self, key) != type(self).model_fields[key].default and given[0] not in formats:
                raise ValueError(f"{key} with {' or '.join(formats)} only, not with {given[0]}")
        alleles = {"plink": ("a1", "a2"), "bgen": ("first", "last")}.get(given[0], ())
        if self.reference_allele is not None and self.reference_allele not in alleles:
            raise ValueError(f"reference_allele to be {' or '.join(alleles)} with {given[0]}")
        return self

    @property
    def format(self) -> Format:
        """The format that is given."""
        return next(name for name in FORMATS if getattr(self, name) is not None)

    @property
    def paths(self) -> list[str]:
        """What the format's key names."""
        value: list[str] | str = getattr(self, self.format)
        return [value] if isinstance(value, str) else value


def people_file(calls: dict[str, Any]) -> str | None:
    """The .fam or .psam that belongs to `input.plink` or `input.pgen`; None where no single one does."""
    for key, table, suffix in (("plink", ".bed", ".fam"), ("pgen", ".pgen", ".psam")):
        paths = calls.get(key)
        first = paths[0] if isinstance(paths, list) and paths else paths
        if isinstance(first, str) and not set("*?") & set(first):
            return first.removesuffix(table) + suffix
    return None


class IntervalsConfig(ConfigModel):
    """Capture intervals: variants outside are not used, and mean depth is taken inside."""

    bed: str = Field(description="BED file of the capture's targets; of the same build")
    padding: int = Field(50, ge=0, le=10_000, description="bp added to both ends of each (BipEx: 50)")


def _code(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError(f"quotes around the value: YAML reads yes, no, on, off, true and false as {value}")
    return str(value) if isinstance(value, int) else value


Code = Annotated[str, BeforeValidator(_code)]
"""A value of the samples table, where all is text; a whole number may be written without quotes."""


class StatusColumn(ConfigModel):
    """Case/control status."""

    column: str
    case: list[Code] = Field(min_length=1, description="values that mean case")
    control: list[Code] = Field(min_length=1, description="values that mean control; others are unknown")

    @model_validator(mode="after")
    def _disjoint(self) -> StatusColumn:
        if both := sorted(set(self.case) & set(self.control)):
            raise ValueError(f"no value for both case and control, such as {', '.join(both)}")
        return self


class SexColumn(ConfigModel):
    """Reported sex."""

    column: str
    female: list[Code] = Field(["female", "F", "2"], min_length=1)
    male: list[Code] = Field(["male", "M", "1"], min_length=1)


PEOPLE_FILES = (".fam", ".psam")
"""Suffixes of PLINK's tables of people, whose columns and codes are known."""


class SamplesConfig(ConfigModel):
    """The samples table: tab-separated, comma-separated when its name ends in .csv, or a .fam or .psam.

    The columns of a .fam are family, sample_id, father, mother, sex and status; a .psam's have the same
    names, and its first phenotype is the status.
    """

    path: str
    sample_id: str = Field("sample_id", description="column with the VCF's sample names")
    status: StatusColumn | None = Field(
        description="null: nobody's is known, which is allowed with `like` alone"
    )
    sex: SexColumn | None = None
    batch: str | None = Field(None, description="column: sequencing batch, wave or capture kit")
    family: str | None = Field(None, description="column: declared family; empty for none")
    ancestry: str | None = Field(
        None,
        description="column: known ancestry, empty for people to be placed; null: groups found by PCA",
    )
    fold: str | None = Field(
        None, description="column: folds of your own, 0 to 9; null: assigned, families kept together"
    )
    discordant_duplicates: Literal["drop", "keep"] = Field(
        "drop",
        description="duplicates whose status or sex differ: drop all, or keep the best called",
    )
    permute_status: int | None = Field(
        None,
        ge=0,
        description="seed of a null run: status shuffled among families of one size before all else",
    )

    @model_validator(mode="before")
    @classmethod
    def _codes_of_plink(cls, settings: Any) -> Any:
        if not isinstance(settings, dict) or not str(settings.get("path", "")).endswith(PEOPLE_FILES):
            return settings
        known = {
            "status": {"column": "status", "case": ["2"], "control": ["1"]},
            "sex": {"column": "sex"},
            "family": "family",
        }
        return known | settings


class KinshipTable(ConfigModel):
    """Kinship that another tool estimated."""

    table: str = Field(
        description="pairs and their kinship coefficients: output of KING or plink2 (.kin0), or of PC-Relate"
    )


class FoldsConfig(ConfigModel):
    """The assignment of families to folds."""

    test: int = Field(0, ge=0, le=9, description="the sealed fold")
    seed: int = 1


class NewPeopleConfig(ConfigModel):
    """What the dataset keeps to describe new people by, in its folder reference/."""

    write: bool = True
    min_cell: int = Field(5, ge=1, description="people: what fewer share is a small cell")
    small_cells: Literal["coarsen", "suppress"] = Field(
        "coarsen",
        description="variants of small cells: listed without counts; or not listed, so that a new person's "
        "call counts as one of a variant that nobody here carries",
    )


class SparkConfig(ConfigModel):
    """Where it runs; under spark-submit the cluster's own settings win."""

    master: str = "local[*]"
    driver_memory: str = "3g"
    conf: dict[str, str] = Field(default_factory=dict)

    @field_validator("driver_memory")
    @classmethod
    def _a_size(cls, value: str) -> str:
        if not re.fullmatch("[1-9][0-9]*[kmgtKMGT]", value):
            raise ValueError("a number and a unit, such as 3g or 512m")
        return value


class EtlConfig(ConfigModel):
    """Everything a run depends on."""

    data: str = Field("", description="folder of the inputs: written {data} in their paths")
    out: str = Field(description="folder of the outputs")
    like: str | None = Field(
        None,
        description="a dataset or bundle: these people are described by its definitions, which stand for all "
        "settings but out, input, samples, intervals, spark and those of the file layout",
    )
    unseen_variants: Literal["annotated", "absent"] = Field(
        "annotated",
        description="with like: variants that nobody of the first cohort carries count by their annotation, "
        "at frequency 0; or nowhere, where the calls are not annotated",
    )
    reference: Literal["GRCh37", "GRCh38"]
    input: InputConfig
    samples: SamplesConfig
    genes: GenesConfig
    annotation: AnnotationConfig
    masks: MasksConfig = Field(
        description="null: those of `annotation.masks`, regenie's mask definitions, if there are any"
    )
    profile: str = Field("bipex", description="a name in conf/profiles, or a YAML file")
    thresholds: dict[str, dict[str, Any]] = Field(
        default_factory=dict, description="single thresholds that differ from the profile's"
    )
    intervals: IntervalsConfig | None = Field(None, description="capture intervals; null: everywhere")
    low_complexity: str | None = Field(
        None, description="BED file of low-complexity regions (Li 2014): variants inside are not used"
    )
    reference_fasta: str | None = Field(
        None, description="the reference's sequence, plain or bgzipped; variants of another REF are not used"
    )
    genotype_qc: Literal["apply", "skip"] = Field("apply", description="skip: for calls that carry GT alone")
    kinship: Literal["estimate", "skip"] | KinshipTable = Field(
        "estimate",
        description="estimate, from the calls; skip: declared families alone; or {table: PATH} of a tool",
    )
    folds: FoldsConfig = FoldsConfig()
    covariates: tuple[Annotated[str, Field(min_length=1)], ...] = Field(
        ("is_female", "ancestry_pcs"),
        description="is_female, ancestry_pcs, batch, or columns of the samples table that hold numbers or "
        "two values, such as age or a polygenic score",
    )
    for_new_people: NewPeopleConfig = NewPeopleConfig()
    association: AssociationConfig = AssociationConfig()
    export: tuple[Literal["matrix_table"], ...] = Field(
        (), description="matrix_table: the quality-controlled cohort as a Hail MatrixTable too"
    )
    row_group_size: int = Field(64, ge=1, description="rows of a Parquet row group")
    spark: SparkConfig = SparkConfig()

    @field_validator("masks", mode="before")
    @classmethod
    def _masks_of_the_group_file(cls, value: Any, info: ValidationInfo) -> Any:
        annotation = info.data.get("annotation")
        if value is not None or annotation is None:  # or annotation has a fault, which is told
            return {"preset": "any"} if value is None else value
        found = file_masks(annotation.groups) if annotation.groups else None
        if found is None:
            raise PydanticCustomError("missing", "masks")
        return found

    @model_validator(mode="before")
    @classmethod
    def _masks_may_be_left_out(cls, settings: Any) -> Any:
        return {"masks": None, **settings} if isinstance(settings, dict) else settings

    @model_validator(mode="before")
    @classmethod
    def _like_another(cls, settings: Any) -> Any:
        # Runs after those below: the samples table of PLINK files is known by then.
        is_like = isinstance(settings, dict) and settings.get("like")
        return settings_like(settings) if is_like else settings

    @model_validator(mode="after")
    def _status_is_known(self) -> EtlConfig:
        if self.like is None and self.samples.status is None:
            raise ValueError("samples.status to name the column of cases and controls")
        return self

    @model_validator(mode="before")
    @classmethod
    def _people_of_plink(cls, settings: Any) -> Any:
        calls = settings.get("input") if isinstance(settings, dict) else None
        if not isinstance(calls, dict) or "samples" in settings:
            return settings
        path = people_file(calls)
        return settings if path is None else {**settings, "samples": {"path": path}}

    @model_validator(mode="before")
    @classmethod
    def _fill_in_data(cls, settings: Any) -> Any:
        return with_data(settings, str(settings.get("data", ""))) if isinstance(settings, dict) else settings

    @field_validator("covariates")
    @classmethod
    def _batch_is_known(cls, value: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        samples = info.data.get("samples")
        own = info.data.get("like") is None
        if own and "batch" in value and samples is not None and samples.batch is None:
            raise ValueError("samples.batch to name the column of batches, or no batch here")
        if len(set(value)) < len(value):
            raise ValueError("each name once")
        return value

    @property
    def work(self) -> str:
        """Folder of the steps' outputs."""
        return f"{self.out}/steps"

    @property
    def dataset(self) -> str:
        """Folder of the finished dataset."""
        return f"{self.out}/dataset"

    @property
    def associations(self) -> str:
        """Table of burden tests."""
        return f"{self.out}/associations.parquet"

    @property
    def matrix_table(self) -> str:
        """Folder of the exported MatrixTable."""
        return f"{self.out}/cohort.mt"

    @property
    def report(self) -> str:
        """Path of the quality-control report."""
        return f"{self.out}/qc_report.html"

    def profile_path(self) -> Path:
        """The profile's YAML file."""
        return Path(self.profile) if "/" in self.profile else PROFILES / f"{self.profile}.yaml"

    def resolved_profile(self) -> Profile:
        """The profile with this run's own thresholds in it.

        Raises
        ------
        InputError
            If there is no such profile, or a threshold is unknown or out of range.
        """
        path = self.profile_path()
        if not path.exists():
            known = sorted(found.stem for found in PROFILES.glob("*.yaml"))
            raise InputError(
                fault(path, "profile", found="no such file", wanted=f"a YAML file or one of {known}")
            )
        profile = load_config(Profile, path)
        settings = merged(profile.model_dump(), self.thresholds)
        return build_config(Profile, settings, "configuration", within="thresholds")
