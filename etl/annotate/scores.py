"""Scores of variants: which there are, and how they are read from text."""

from __future__ import annotations

from collections.abc import Sequence

from etl.annotate.config import AnnotationConfig

PREDICTORS = ("cadd", "revel", "alphamissense", "spliceai", "mpc", "polyphen", "sift")
"""Predictors that annotations of VEP may carry, by the names that masks know them by."""


def score_names(config: AnnotationConfig, fields: Sequence[str]) -> list[str]:
    """Names of the scores of a consequence, in their order; `fields` as for `make_annotator`."""
    return []
