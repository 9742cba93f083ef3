"""manifest.json: what a dataset holds and where it comes from. Its presence is the commit mark."""

from __future__ import annotations

import json
import posixpath
from typing import Any

from pydantic import Field, SerializerFunctionWrapHandler, ValidationError, model_serializer, model_validator

from contract.config import ConfigModel
from contract.errors import InputError, fault
from contract.schema import FORMAT_VERSION
from contract.storage import StorageError, open_storage, told, write_whole

MANIFEST_NAME = "manifest.json"


class PartFile(ConfigModel):
    """One Parquet file of samples."""

    path: str = Field(description="relative to the dataset's root, '/' between folders")
    rows: int = Field(ge=0)
    row_groups: int = Field(ge=0)
    sha256: str


class TableFile(ConfigModel):
    """An optional Parquet table of the dataset."""

    path: str = Field(description="relative to the dataset's root")
    rows: int = Field(ge=0)
    sha256: str


class Fold(ConfigModel):
    """One of the partitions that families never cross."""

    index: int = Field(ge=0)
    n_samples: int = Field(ge=0)
    n_cases: int = Field(ge=0)
    n_controls: int = Field(ge=0)
    files: list[PartFile] = Field(description="in row order; all row groups but a fold's last are full")

    @property
    def n_row_groups(self) -> int:
        """Row groups over all files of the fold."""
        return sum(file.row_groups for file in self.files)


class Channel(ConfigModel):
    """One gene × sample feature plane: a burden mask with its full definition."""

    name: str
    definition: dict[str, Any]

    @property
    def counts_missing_calls(self) -> bool:
        """Whether it tells where calls are missing, and nothing of alleles."""
        return self.definition.get("coding") == "missing"


class CovariateColumn(ConfigModel):
    """How a column of the samples table became a covariate; another cohort is described by the same rule."""

    zero: str | None = Field(None, description="text that is 0; null: the column holds numbers")
    one: str | None = Field(None, description="text that is 1; null: the column holds numbers")
    mean: float = Field(description="of people outside the test fold: stands for missing values")
    filled: int = Field(ge=0, description="people of this dataset who had no value")
    indicator: bool = Field(description="whether a column NAME_missing says who had no value")

    def words(self) -> str:
        """The rule in a few words."""
        found = [f"{self.one} is 1, {self.zero} is 0"] if self.one is not None else []
        if self.filled:
            people = "1 person has" if self.filled == 1 else f"{self.filled:,} people have"
            found.append(f"{people} the mean, {self.mean:.4g}, for want of a value")
        return "; ".join(found) or "numbers, none missing"


class LedgerEntry(ConfigModel):
    """One line of the attrition ledger: what a step dropped, and why."""

    step: str
    unit: str = Field(description="samples, variants or genotypes")
    reason: str
    count: int = Field(ge=0, description="units that carry the reason; a unit may carry several")


class Manifest(ConfigModel):
    """All that a reader needs to know before the first row."""

    format_version: int = FORMAT_VERSION
    reference_genome: str
    n_samples: int = Field(ge=0)
    n_genes: int = Field(ge=1)
    channels: list[Channel] = Field(min_length=1)
    covariates: list[str]
    cohort_covariates: list[str] = Field(
        default_factory=list,
        description="covariates that mean nothing in another cohort: ancestry components, batches",
    )
    covariate_columns: dict[str, CovariateColumn] = Field(
        default_factory=dict, description="covariates that are columns of the samples table, and their rules"
    )
    row_group_size: int = Field(ge=1, description="rows of every row group but the last of a fold")
    test_fold: int = Field(ge=0, description="the sealed fold, read once, by evaluation")
    folds: list[Fold]
    tables: dict[str, TableFile] = Field(
        default_factory=dict, description="optional tables: kinship, people_qc; see contract.people_tables"
    )
    fitted_on: dict[str, str] = Field(
        default_factory=dict, description="what uses labels or was fitted -> the people it saw"
    )
    counts: dict[str, int] = Field(default_factory=dict)
    ledger: list[LedgerEntry] = Field(default_factory=list)
    qc_profile: dict[str, Any] = Field(default_factory=dict)
    config: dict[str, Any] = Field(default_factory=dict)
    software: dict[str, str] = Field(default_factory=dict)
    digests: dict[str, str] = Field(default_factory=dict)
    seed: int
    reference: str | None = Field(
        None, description="digest of reference/reference.json, by which new people are described; null: none"
    )
    like: str | None = Field(
        None, description="digest of the reference whose definitions this dataset follows; null: its own"
    )

    @model_validator(mode="after")
    def _consistent(self) -> Manifest:
        if sum(fold.n_samples for fold in self.folds) != self.n_samples:
            raise ValueError("the folds' n_samples do not add up to n_samples")
        indices = [fold.index for fold in self.folds]
        if len(set(indices)) < len(indices):
            raise ValueError(f"a fold stands twice in {indices}")
        for fold in self.folds:
            if sum(file.rows for file in fold.files) != fold.n_samples:
                raise ValueError(f"fold {fold.index}: its files' rows do not add up to n_samples")
        unknown = sorted(set(self.cohort_covariates) - set(self.covariates))
        if unknown:
            raise ValueError(f"cohort_covariates {unknown} are none of the covariates")
        if self.test_fold not in indices:
            raise ValueError(f"test_fold {self.test_fold} is none of the folds")
        return self

    @model_serializer(mode="wrap")
    def _without_absent_parts(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # So that a dataset without optional parts keeps the digest that it had before there were any.
        content: dict[str, Any] = serialize(self)
        for name in ("tables", "covariate_columns", "reference", "like"):
            if not content[name]:
                del content[name]
        return content

    @property
    def n_features(self) -> int:
        """Length of the flat feature axis: channels × genes."""
        return len(self.channels) * self.n_genes

    def fold(self, index: int) -> Fold:
        """The fold of that index.

        Raises
        ------
        InputError
            If the dataset has no such fold.
        """
        for fold in self.folds:
            if fold.index == index:
                return fold
        known = [fold.index for fold in self.folds]
        raise InputError(fault(MANIFEST_NAME, "folds", found=f"no fold {index}", wanted=f"one of {known}"))


def write_manifest(manifest: Manifest, root: str) -> None:
    """Write manifest.json as a whole: the dataset is complete from then on."""
    content = json.dumps(manifest.model_dump(mode="json"), indent=1)
    write_whole(posixpath.join(root, MANIFEST_NAME), content.encode())


def read_manifest(root: str) -> Manifest:
    """Read and check the manifest of a dataset.

    Parameters
    ----------
    root
        The dataset's folder: any URL that fsspec knows.

    Raises
    ------
    InputError
        If there is no manifest (the dataset was never finished), if its format version is another
        than `FORMAT_VERSION`, or with a sentence for each fault in it.
    """
    filesystem, path = open_storage(root)
    name = posixpath.join(path, MANIFEST_NAME)
    try:
        with told(root), filesystem.open(name, "r") as stream:
            text = stream.read()
        content = json.loads(text)
    except (FileNotFoundError, NotADirectoryError):
        raise InputError(
            fault(
                root,
                MANIFEST_NAME,
                found="no such file",
                wanted="a finished dataset (written last by the ETL)",
            )
        ) from None
    except StorageError as error:
        wanted = "a store that answers"
        raise InputError(fault(name, "whole file", found=f"'{error.strerror}'", wanted=wanted)) from None
    except (ValueError, UnicodeDecodeError):
        raise InputError(fault(name, "whole file", found="no valid JSON", wanted="a manifest")) from None
    version = content.get("format_version") if isinstance(content, dict) else None
    if version != FORMAT_VERSION:
        raise InputError(fault(name, "format_version", found=version, wanted=str(FORMAT_VERSION)))
    try:
        return Manifest.model_validate(content)
    except ValidationError as error:
        raise InputError(
            [
                fault(name, _field_name(item["loc"]), found=repr(item["input"])[:80], wanted=item["msg"])
                for item in error.errors()
            ]
        ) from None


def _field_name(location: tuple[int | str, ...]) -> str:
    return ".".join(map(str, location)) or "whole file"
