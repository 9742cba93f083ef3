"""Step 4: principal components, ancestry groups, outliers; the people who stay."""

from __future__ import annotations

import pandas as pd

from contract.errors import InputError
from contract.manifest import LedgerEntry
from etl.qc.ancestry import assign_ancestry, find_groups, fit_components, loading_frame, score_frame
from etl.qc.outliers import find_between_groups, find_outliers
from etl.qc.plink import read_plink
from etl.qc.sample_metrics import join_reasons
from etl.qc.unrelated import choose_unrelated
from etl.steps.base import Run
from etl.steps.names import COMPONENTS, KINSHIP, LOADINGS, SAMPLES
from etl.steps.relatedness import MARKERS, PEOPLE
from etl.steps.sample_metrics import METRICS
from etl.steps.table import RELATEDNESS, SAMPLE_METRICS
from etl.workspace import StepResult


def work(run: Run) -> StepResult:
    """Write samples.parquet (people who stay), components.parquet (with reasons) and loadings.parquet."""
    people = run.read(RELATEDNESS, PEOPLE)
    people = people.merge(run.read(SAMPLE_METRICS, METRICS).drop(columns="reasons"), on="sample_id")
    pairs = run.read(RELATEDNESS, KINSHIP)
    training = people[people["fold"] != run.config.folds.test]
    unrelated = choose_unrelated(training, pairs, run.profile.relatedness.min_kinship_family)
    markers = read_plink(run.path(RELATEDNESS, MARKERS))
    components = fit_components(
        markers, unrelated, run.profile.ancestry, min_cell=run.config.for_new_people.min_cell
    )
    people = people.merge(score_frame(markers.people, components.scores_PK), on="sample_id")
    fitted = people["sample_id"].isin(unrelated)
    # Components that others don't show are drawn, and nothing else: they tell who was fitted on.
    noise = [f"pc{place + 1}" for place in range(components.n_kept, len(components.eigenvalues_K))]
    if run.config.samples.ancestry:
        people["ancestry"] = assign_ancestry(
            people.drop(columns=noise), people["known_ancestry"], seed=run.config.folds.seed
        )
    else:
        people["ancestry"] = find_groups(
            people.drop(columns=noise), fitted.tolist(), run.profile.ancestry, seed=run.config.folds.seed
        )
    outside = people["fold"] != run.config.folds.test
    outliers = {
        "outlier_ancestry": find_between_groups(
            people.drop(columns=noise), fitted, run.profile.ancestry, run.profile.sample.min_stratum
        ),
        **find_outliers(people.drop(columns=noise), outside, run.profile.sample),
    }
    people["reasons"] = join_reasons(outliers, people.index)
    run.write(COMPONENTS, people.assign(is_fitted=fitted))
    run.write(LOADINGS, loading_frame(components.projection))
    kept = _kept(people.drop(columns=noise), run)
    run.write(SAMPLES, kept)
    ledger = [
        LedgerEntry(step="ancestry", unit="samples", reason=reason, count=int(flags.sum()))
        for reason, flags in outliers.items()
    ]
    return StepResult(
        ledger=ledger,
        facts={
            "people": len(kept),
            "groups": int(kept["ancestry"].nunique()),
            "fitted_on": len(unrelated),
            "components_above_noise": components.n_above_noise,
            "components_kept": components.n_kept,
            "spread_of_people_left_out": components.reproduced_K.tolist(),
            "eigenvalues": components.eigenvalues_K.tolist(),
            "eigenvalues_of_noise": components.edges_K.tolist(),
        },
        fitted_on={
            "ancestry components and groups": f"{len(unrelated)} unrelated people outside the test fold",
            "outlier medians": "people outside the test fold",
        },
    )


def _kept(people: pd.DataFrame, run: Run) -> pd.DataFrame:
    kept = people[people["reasons"] == ""].sort_values("sample_id", ignore_index=True)
    # Whoever names the folds may leave the sealed one empty: a dataset to train on, scored elsewhere.
    sides = [(False, "outside the test fold")]
    if run.config.samples.fold is None:
        sides.append((True, "in the test fold"))
    for status, name in ((1, "cases"), (0, "controls")):
        for test, where in sides:
            inside = (kept["fold"] == run.config.folds.test) == test
            if not (inside & (kept["is_case"] == status)).any():
                raise InputError(
                    f"{run.config.samples.path}: people: found no {name} {where} after quality control, "
                    "wanted some"
                )
    kept["sample_index"] = kept.index.astype("int32")
    return kept
