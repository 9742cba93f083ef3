"""Scores that the judged network gives people whom it does not know, beside the sealed fold.

Where convolutions are off, the network is the direct path, and everybody outside the sealed fold has a score
by a fit without their group. Where they stay, training people have none that includes them: validation people
alone have. No gene effect and no convolution learned from their labels, but these decided when training
stopped, and intercept and covariates began at values fitted on everybody.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pandas as pd

from train.direct import OUT_OF_FOLD_NAME
from train.engine import Scores

NETWORK_LOGIT = "network_logit"
"""Column of the left-out scores: the whole network's logit, missing for training people; absent where the
convolutions are off."""

Unseen = Literal["out_of_fold", "validation"]


def add_network_scores(run: Path, scores: Scores) -> None:
    """Put the whole network's logits of validation people beside the direct path's left-out scores.

    Parameters
    ----------
    run
        The run's folder, which holds out_of_fold.parquet.
    scores
        Logits by sample_index; whoever is absent from the file (status unknown) is passed over.
    """
    path = run / OUT_OF_FOLD_NAME
    table = pd.read_parquet(path)
    logit = pd.Series(scores.logit_M, index=scores.sample_M)
    table[NETWORK_LOGIT] = table["sample_index"].map(logit)
    partial = run / (OUT_OF_FOLD_NAME + ".partial")
    table.to_parquet(partial, index=False)
    partial.replace(path)


def network_scores(table: pd.DataFrame) -> tuple[pd.DataFrame, Unseen]:
    """The rows and logits that are of the network judged, and which people they are.

    Parameters
    ----------
    table
        Content of out_of_fold.parquet.

    Returns
    -------
    The table itself, or its validation people with the network's logit in place of the direct path's and no
    `gene_logit`, which leaves the convolutions out.
    """
    if NETWORK_LOGIT not in table:
        return table, "out_of_fold"
    known = table[table[NETWORK_LOGIT].notna()]
    kept = known.drop(columns=["logit", "gene_logit"], errors="ignore")
    return kept.rename(columns={NETWORK_LOGIT: "logit"}), "validation"
