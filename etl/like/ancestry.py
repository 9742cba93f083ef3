"""Step 4 of new people: the first cohort's components and ancestry; who is unlike it is marked."""

from __future__ import annotations

import numpy as np

from contract.reference import LOADINGS_FILE, distances, open_reference
from etl.like.people import deviations, nearest_groups
from etl.like.projection import MarkerWeights, project
from etl.steps.base import Run
from etl.steps.ingest import COHORT
from etl.steps.names import SAMPLES
from etl.steps.sample_metrics import METRICS
from etl.steps.table import INGEST, SAMPLE_METRICS
from etl.workspace import StepResult

MARKERS = "marker_call_rate"


def work(run: Run) -> StepResult:
    """Write samples.parquet: people who pass the hard limits, all of them in the sealed fold."""
    reference = open_reference(str(run.config.like))
    content = reference.content
    people = run.read(SAMPLE_METRICS, METRICS)
    weights = MarkerWeights.of(reference.table(LOADINGS_FILE), content.components)
    baseline_K = np.array(content.baseline, dtype=np.float64)
    scores_PK, called_P = project(run.path(INGEST, COHORT), len(people), weights, baseline_K)
    people = people.assign(**dict(zip(content.components, scores_PK.T, strict=True)))
    people[MARKERS] = called_P if len(weights.mean_M) else np.nan
    people["ancestry"] = nearest_groups(people, content)
    people = people.join(deviations(people, content))
    kept = people[people["reasons"] == ""].sort_values("sample_id", ignore_index=True)
    kept["sample_index"] = kept.index.astype("int32")
    kept["family"] = kept["sample_index"]
    kept["fold"] = content.test_fold
    run.write(SAMPLES, kept)
    far = distances(content.groups, kept[content.components].to_numpy()) > 1
    return StepResult(
        facts={
            "people": len(kept),
            "far_from_the_first_cohort": int(far.sum()),
            "markers": len(weights.mean_M),
            "passes_over_calls": 1,
        },
        fitted_on={"ancestry components and groups": "the first cohort; new people are projected"},
    )
