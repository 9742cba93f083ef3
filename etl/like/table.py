"""The steps of new people, named as those that they stand for; kinship, folds and fits are not theirs.

Hail has no part in them: Spark alone is started.
"""

from __future__ import annotations

from dataclasses import replace

from contract.manifest import MANIFEST_NAME
from contract.reference import REFERENCE_NAME, open_reference
from etl.config import EtlConfig
from etl.steps import table
from etl.steps.base import Step
from etl.thresholds import Profile


def _reference(config: EtlConfig) -> list[str]:
    return [f"{open_reference(str(config.like)).folder}/{REFERENCE_NAME}"]


def _samples(config: EtlConfig) -> list[str]:
    return [*_reference(config), *([config.samples.path] if config.samples.path else [])]


def _sample_metrics(config: EtlConfig, profile: Profile) -> dict[str, object]:
    return {
        "samples": config.samples.model_dump(mode="json"),
        "sample": profile.sample.model_dump(mode="json"),
    }


def _variant_qc(config: EtlConfig, profile: Profile) -> dict[str, object]:
    return {
        "unseen_variants": config.unseen_variants,
        "min_call_rate": profile.variant.min_call_rate,
    }


def _dataset(config: EtlConfig, profile: Profile) -> dict[str, object]:
    return {
        "covariates": list(config.covariates),
        "row_group_size": config.row_group_size,
        "dataset": config.dataset,
    }


LIKE_STEPS: tuple[Step, ...] = (
    table.INGEST,
    replace(
        table.SAMPLE_METRICS,
        title="measuring people by the first cohort's frequencies",
        settings=_sample_metrics,
        packages=("cohort", "ingest", "qc", "like"),
        inputs=_samples,
        module="etl.like.sample_metrics",
        leaves_cores_idle=False,
    ),
    replace(
        table.ANCESTRY,
        title="the first cohort's components and ancestry groups",
        settings=table.no_settings,
        packages=("cohort", "qc", "like"),
        inputs=_reference,
        module="etl.like.ancestry",
        leaves_cores_idle=False,
    ),
    replace(
        table.VARIANT_QC,
        title="joining variants with the first cohort's",
        settings=_variant_qc,
        packages=("aggregate", "cohort", "like", "qc"),
        inputs=_reference,
        module="etl.like.variant_qc",
        needs_hail=False,
        leaves_cores_idle=False,
    ),
    replace(table.ANNOTATION, title="genes and consequences of the others", leaves_cores_idle=False),
    replace(
        table.MASKS,
        packages=("aggregate", "cohort", "like"),
        inputs=_reference,
        module="etl.like.masks",
        leaves_cores_idle=False,
    ),
    replace(table.AGGREGATION, leaves_cores_idle=False),
    replace(
        table.DATASET,
        settings=_dataset,
        packages=("export", "like"),
        inputs=_reference,
        outputs=lambda config: [f"{config.dataset}/{MANIFEST_NAME}"],
        module="etl.like.dataset",
        needs_hail=False,
        leaves_cores_idle=False,
    ),
)
