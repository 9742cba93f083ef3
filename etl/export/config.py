"""What the caller of the export knows of the dataset, beside its rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd
from pydantic import ConfigDict, Field

from contract.config import ConfigModel
from contract.manifest import Channel, CovariateColumn, LedgerEntry, Manifest


class DatasetFacts(ConfigModel):
    """The fields of the manifest that do not follow from the rows; names and meanings are the manifest's."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    reference_genome: str
    channels: list[Channel] = Field(min_length=1)
    covariates: list[str]
    cohort_covariates: list[str] = Field(default_factory=list)
    covariate_columns: dict[str, CovariateColumn] = Field(default_factory=dict)
    row_group_size: int = Field(64, ge=1)
    row_groups_per_file: int = Field(16, ge=1, description="a file is what one task holds in memory")
    test_fold: int = Field(ge=0)
    fitted_on: dict[str, str] = Field(default_factory=dict)
    counts: dict[str, int] = Field(default_factory=dict)
    ledger: list[LedgerEntry] = Field(default_factory=list)
    qc_profile: dict[str, Any] = Field(default_factory=dict)
    config: dict[str, Any] = Field(default_factory=dict)
    software: dict[str, str] = Field(default_factory=dict)
    digests: dict[str, str] = Field(default_factory=dict)
    seed: int = Field(description="of the order of people within a fold")
    scratch: str = Field(description="a folder that Spark reads too: people go to executors as a file there")
    kinship: pd.DataFrame | None = Field(None, description="columns of KINSHIP_SCHEMA; null: not estimated")
    people_qc: pd.DataFrame | None = Field(None, description="sample_index and metrics; null: none")
    like: str | None = Field(None, description="digest of the reference that it follows; null: none")
    write_reference: Callable[[str, Manifest], str] | None = Field(
        None, description="writes reference/ into the staging folder and returns its digest; null: none"
    )
