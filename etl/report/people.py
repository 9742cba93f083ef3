"""Everybody who came in, as the report may show them: no ids, and no status of the sealed fold's people."""

from __future__ import annotations

import pandas as pd

SEALED = "sealed"
STATUSES = ("case", "control", "unknown", SEALED)
"""Values of `status`. People who left before folds were made are in no fold, so not sealed, unless the
samples table names theirs."""

STEPS = ("sample_metrics", "relatedness", "ancestry")
"""Steps that remove people, in their order."""


def report_people(
    metrics: pd.DataFrame,
    duplicates: pd.DataFrame,
    folded: pd.DataFrame,
    components: pd.DataFrame,
    *,
    test_fold: int,
) -> pd.DataFrame:
    """One row for each person of the samples table, with what each step found.

    Parameters
    ----------
    metrics
        Everybody, by step 2: sample_id, is_case, batch, declared_fold (missing for none), the metrics,
        reasons.
    duplicates, components
        People whom steps 3 and 4 judged: sample_id, reasons.
    folded
        People who were given a fold: sample_id, fold.
    test_fold
        The sealed fold. Whoever is in it is 'sealed' here, also when they were removed.

    Returns
    -------
    pandas.DataFrame
        Along `metrics`, without sample_id, is_case and fold: the metrics; status, see `STATUSES`; for each of
        STEPS its reasons (comma-separated, empty for none) and whether the person came to it (`in_` before
        its name). `in_` is read from the steps' own tables of people, so that it can contradict the reasons.
    """
    ids = metrics["sample_id"]
    fold = ids.map(folded.set_index("sample_id")["fold"])
    sealed = (fold == test_fold) | (metrics["declared_fold"] == test_fold)
    status = metrics["is_case"].map({1: "case", 0: "control"}).astype(object)
    people = metrics.drop(columns=["sample_id", "is_case", "declared_fold", "reasons"])
    people["status"] = status.where(status.notna(), "unknown").where(~sealed, SEALED)
    later = {"relatedness": duplicates, "ancestry": components}
    people["sample_metrics"] = metrics["reasons"]
    for step, found in later.items():
        people[step] = ids.map(found.set_index("sample_id")["reasons"]).fillna("")
    people["in_sample_metrics"] = True
    people["in_relatedness"] = ids.isin(folded["sample_id"]) | ids.isin(duplicates["sample_id"])
    people["in_ancestry"] = ids.isin(components["sample_id"])
    return people


def compared_sexes(people: pd.DataFrame) -> tuple[int, int] | None:
    """How many people's X chromosome tells another sex than reported, and of how many both are known.

    None where nobody's is.
    """
    if not {"imputed_sex", "reported_sex"} <= set(people):
        return None
    both = people[["imputed_sex", "reported_sex"]].dropna()
    return (int((both["imputed_sex"] != both["reported_sex"]).sum()), len(both)) if len(both) else None
