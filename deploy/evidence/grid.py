"""The cohorts of `make truth-evidence`, and which models are fitted on each."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from contract.config import ConfigModel
from deploy.evidence.settings import CohortSettings

BATCH_WITHOUT_EFFECT = {"b_of_cases": 0.8, "b_of_controls": 0.25, "b_loss": 0.2}
"""Batch B holds 80 % of cases and a quarter of controls, and has 20 % fewer calls."""

MODELS = ("network", "spike_slab", "ridge", "lasso")
TECHNICAL_MODELS = (*MODELS, "covariates", "batch", "total_count")
CONSTRAINT_MODELS = (*MODELS, "burden_weights", "network_shuffled_properties", "network_no_properties")
NULL_SEEDS = 20
FIRST_TRUTH_SEED = 7


class Planned(ConfigModel):
    """A cohort of the table."""

    name: str
    cohort: dict[str, Any]
    models: tuple[str, ...] = MODELS
    seeds: tuple[int, ...] = (1, 2, 3)
    audited: bool = Field(False, description="the leak audit looks at networks")
    overrides: tuple[str, ...] = Field(
        (),
        description="of conf/train/default.yaml, for networks; {gene_sets}: the cohort's file of sets",
    )

    def settings(self, seed: int) -> CohortSettings:
        """People and gene truth drawn by this seed."""
        seeds = {"people_seed": seed, "truth_seed": FIRST_TRUTH_SEED + seed - 1}
        return CohortSettings.model_validate({**seeds, **self.cohort})


def _constraint(percent: int) -> Planned:
    architecture = {
        "form": "constraint",
        "n_people": 12_000,
        "n_genes": 18_000,
        "n_causal": 30 * percent,  # of 3,000 constrained genes
        "heritability": 0.02,
    }
    return Planned(name=f"constraint_{percent:02d}", cohort=architecture, models=CONSTRAINT_MODELS)


PLANNED = (
    Planned(name="shared_4000", cohort={"form": "shared", "n_people": 4_000}),
    Planned(name="shared_12000", cohort={"form": "shared", "n_people": 12_000}),
    Planned(name="free_4000", cohort={"form": "free", "n_people": 4_000}),
    Planned(
        name="path_near_12000",
        cohort={"form": "path_near", "n_people": 12_000},
        models=(*MODELS, "network_no_convolution", "network_shuffled_genes"),
    ),
    Planned(
        name="path_far_12000",
        cohort={"form": "path_far", "n_people": 12_000},
        overrides=("model.effects.gene_sets={gene_sets}",),
    ),
    Planned(
        name="genes_19000", cohort={"form": "shared", "n_people": 12_000, "n_genes": 19_000, "n_causal": 500}
    ),
    Planned(name="heritability_0.1", cohort={"form": "shared", "n_people": 12_000, "heritability": 0.1}),
    Planned(name="polygenic_4000", cohort={"form": "polygenic", "n_people": 4_000}),
    Planned(name="polygenic_12000", cohort={"form": "polygenic", "n_people": 12_000}),
    Planned(name="heavy_tails_4000", cohort={"form": "heavy_tails", "n_people": 4_000}),
    Planned(name="few_among_many_4000", cohort={"form": "few_among_many", "n_people": 4_000}),
    *(_constraint(percent) for percent in (33, 13, 5)),
    Planned(
        name="batch_without_effect",
        cohort={"form": "null", "n_people": 4_000, "technique": BATCH_WITHOUT_EFFECT},
        models=TECHNICAL_MODELS,
    ),
    Planned(
        name="batch_and_effect",
        cohort={"form": "shared", "n_people": 4_000, "technique": BATCH_WITHOUT_EFFECT},
        models=TECHNICAL_MODELS,
    ),
    Planned(
        name="calls_by_status",
        cohort={"form": "null", "n_people": 4_000, "technique": {"case_loss": 0.02}},
        models=TECHNICAL_MODELS,
    ),
    Planned(
        name="null",
        cohort={"form": "null", "n_people": 2_000, "n_judges": 1_000, "n_genes": 500},
        models=("network",),
        audited=True,
        seeds=tuple(range(1, NULL_SEEDS + 1)),
    ),
)
"""In the order of the table."""


def planned(name: str) -> Planned:
    """The cohort of that name.

    Raises
    ------
    KeyError
        If there is none.
    """
    return {plan.name: plan for plan in PLANNED}[name]
