"""The eleven steps in order: what each is called and what its output depends on.

Apart from their work, so that a plan needs neither Hail nor Spark: importing those takes seconds.
"""

from __future__ import annotations

from contract.manifest import MANIFEST_NAME
from etl.annotate.score_file import score_files, score_format
from etl.config import EtlConfig
from etl.export.covariates import column_names
from etl.ingest.files import find_files, open_source
from etl.steps.base import Step
from etl.thresholds import Profile

DATASET_MODULES = (
    "config", "dataset", "errors", "hdfs", "manifest", "people_tables", "provenance", "reference", "refusals",
    "schema",
    "storage",
)  # fmt: skip
"""What of contract/ the dataset's step imports; the pages of reports are not among it."""


def _ingest(config: EtlConfig, profile: Profile) -> dict[str, object]:
    return {
        "reference": config.reference,
        "input": config.input.model_dump(mode="json", exclude={"min_partitions"}),
        "annotation": [config.annotation.info_field, *config.annotation.further_fields],
        "genotype_qc": config.genotype_qc,
        "genotype": profile.genotype.model_dump(mode="json"),
        "sites": profile.variant.model_dump(mode="json", include={"max_alleles", "require_pass"}),
        "intervals": config.intervals.model_dump(mode="json") if config.intervals else None,
        "low_complexity": config.low_complexity,
        "reference_fasta": config.reference_fasta,
    }


def _ingest_inputs(config: EtlConfig) -> list[str]:
    others = [
        *(config.intervals.bed if config.intervals else None, config.low_complexity),
        config.reference_fasta,
    ]
    return find_files(config.input) + [path for path in others if path]


def _sample_metrics(config: EtlConfig, profile: Profile) -> dict[str, object]:
    return {
        "samples": config.samples.model_dump(mode="json", exclude={"discordant_duplicates"}),
        "sample": profile.sample.model_dump(mode="json"),
    }


def _relatedness(config: EtlConfig, profile: Profile) -> dict[str, object]:
    return {
        "relatedness": profile.relatedness.model_dump(mode="json"),
        "ancestry": profile.ancestry.model_dump(mode="json"),
        "discordant_duplicates": config.samples.discordant_duplicates,
        "kinship": config.kinship if isinstance(config.kinship, str) else config.kinship.table,
        "folds_seed": config.folds.seed,
    }


def _ancestry(config: EtlConfig, profile: Profile) -> dict[str, object]:
    return {
        "ancestry": profile.ancestry.model_dump(mode="json"),
        "sample": profile.sample.model_dump(mode="json"),
        "test_fold": config.folds.test,
        "min_cell": config.for_new_people.min_cell,
    }


def _variant_qc(config: EtlConfig, profile: Profile) -> dict[str, object]:
    return {"variant": profile.variant.model_dump(mode="json"), "test_fold": config.folds.test}


def _annotation(config: EtlConfig, profile: Profile) -> dict[str, object]:
    return {
        "annotation": config.annotation.model_dump(mode="json"),
        "genes": config.genes.model_dump(mode="json", exclude={"properties"}),
    }


def _annotation_inputs(config: EtlConfig) -> list[str]:
    groups, scores = config.annotation.groups, config.annotation.scores
    others = [groups.path, groups.set_list, groups.masks, groups.ids] if groups else []
    return [
        config.genes.path,
        *(path for path in others if path),
        *(score_files(scores.path) if scores else []),
    ]


def _masks(config: EtlConfig, profile: Profile) -> dict[str, object]:
    return {"masks": [mask.model_dump(mode="json") for mask in config.masks.resolved()]}


def no_settings(config: EtlConfig, profile: Profile) -> dict[str, object]:
    """Settings of a step that depends on those before it alone."""
    return {}


def _dataset(config: EtlConfig, profile: Profile) -> dict[str, object]:
    return {
        "covariates": list(config.covariates),
        "row_group_size": config.row_group_size,
        "folds": config.folds.model_dump(mode="json"),
        "dataset": config.dataset,
        "for_new_people": config.for_new_people.model_dump(mode="json"),
        "export": list(config.export),
        "properties": config.genes.properties.model_dump(mode="json") if config.genes.properties else None,
    }


def _dataset_inputs(config: EtlConfig) -> list[str]:
    properties = [config.genes.properties.path] if config.genes.properties else []
    return properties + ([config.samples.path] if column_names(config.covariates) else [])


def _dataset_outputs(config: EtlConfig) -> list[str]:
    exported = [f"{config.matrix_table}/_SUCCESS"] if "matrix_table" in config.export else []
    return [f"{config.dataset}/{MANIFEST_NAME}", *exported]


def _association(config: EtlConfig, profile: Profile) -> dict[str, object]:
    return {"association": config.association.model_dump(mode="json"), "associations": config.associations}


def _report(config: EtlConfig, profile: Profile) -> dict[str, object]:
    return {"report": config.report, "gates": profile.gates.model_dump(mode="json")}


INGEST = Step(
    1,
    "ingest",
    "reading calls, genotype quality control, splitting alleles",
    _ingest,
    packages=("cohort", "ingest", "qc"),
    inputs=_ingest_inputs,
    needs_hail=False,
    needs_hail_for=lambda config: open_source(config.input).needs_hail,
    leaves_cores_idle=False,
)
SAMPLE_METRICS = Step(
    2,
    "sample_metrics",
    "measuring people, sex",
    _sample_metrics,
    packages=("cohort", "ingest", "qc"),
    inputs=lambda config: [config.samples.path],
    needs_hail=False,
)
RELATEDNESS = Step(
    3,
    "relatedness",
    "markers, kinship, families, folds",
    _relatedness,
    packages=("cohort", "ingest", "qc"),
    inputs=lambda config: [] if isinstance(config.kinship, str) else [config.kinship.table],
    needs_hail=False,
)
ANCESTRY = Step(
    4,
    "ancestry",
    "principal components, ancestry, outliers",
    _ancestry,
    packages=("qc",),
    needs_hail=False,
)
VARIANT_QC = Step(5, "variant_qc", "measuring variants", _variant_qc, packages=("cohort", "ingest", "qc"))
ANNOTATION = Step(
    6,
    "annotation",
    "genes and consequences",
    _annotation,
    packages=("annotate", "cohort"),
    inputs=_annotation_inputs,
    needs_hail=False,
    needs_hail_for=lambda config: bool(
        config.annotation.scores and score_format(config.annotation.scores.path) == "hail"
    ),
)
MASKS = Step(7, "masks", "burden masks", _masks, packages=("aggregate", "cohort"), needs_hail=False)
AGGREGATION = Step(
    8,
    "aggregation",
    "variants to gene features",
    no_settings,
    packages=("aggregate", "cohort"),
    needs_hail=False,
)
DATASET = Step(
    9,
    "dataset",
    "writing the dataset",
    _dataset,
    packages=("annotate", "export", "like", "qc"),
    modules=tuple(f"../contract/{name}.py" for name in DATASET_MODULES),
    inputs=_dataset_inputs,
    outputs=_dataset_outputs,
)
ASSOCIATION = Step(
    10,
    "association",
    "burden tests of genes",
    _association,
    packages=("associate", "qc", "../contract/association"),
    outputs=lambda config: [config.associations],
    needs_hail=False,
)
REPORT = Step(
    11,
    "report",
    "quality-control report",
    _report,
    packages=("report", "../contract/page"),
    outputs=lambda config: [config.report],
    needs_hail=False,
)

STEPS: tuple[Step, ...] = (
    INGEST,
    SAMPLE_METRICS,
    RELATEDNESS,
    ANCESTRY,
    VARIANT_QC,
    ANNOTATION,
    MASKS,
    AGGREGATION,
    DATASET,
    ASSOCIATION,
    REPORT,
)
