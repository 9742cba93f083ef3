"""Scores of variants: which there are, and how they are read from text."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from functools import lru_cache

from etl.annotate.config import AnnotationConfig

FIELDS = {
    "cadd": ("CADD_PHRED",),
    "revel": ("REVEL", "REVEL_score"),
    "alphamissense": ("am_pathogenicity", "AlphaMissense_score"),
    "spliceai": ("SpliceAI_pred_DS_AG", "SpliceAI_pred_DS_AL", "SpliceAI_pred_DS_DG", "SpliceAI_pred_DS_DL",
                 "DS_AG", "DS_AL", "DS_DG", "DS_DL"),
    "mpc": ("MPC", "MPC_score"),
    "polyphen": ("PolyPhen",),
    "sift": ("SIFT",),
    "external_frequency": ("gnomADe_AF", "gnomADg_AF", "gnomAD_AF"),
}  # fmt: skip
"""Predictors by the names that masks know them by -> sub-fields that VEP and its plugins (CADD, REVEL,
AlphaMissense, SpliceAI, dbNSFP) write, in any case. The score is the most damaging number in any of them, of
gnomAD's frequencies (--af_gnomade, --af_gnomadg) the largest."""

SMALL_IS_DAMAGING = ("sift",)
"""Of several numbers the smallest is the most damaging one; of other predictors it is the largest."""

_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?$")
_IN_BRACKETS = re.compile(r"\(([^)]*)\)$")


def score_names(config: AnnotationConfig, fields: Sequence[str]) -> list[str]:
    """Names of the scores of a consequence, in their order.

    Parameters
    ----------
    config
        How variants are annotated; the names of a score table come last.
    fields
        Sub-fields of the annotation in order; predictors among them come first, of CSQ alone.
    """
    return predictor_names(config, fields) + table_names(config)


def table_names(config: AnnotationConfig) -> list[str]:
    """Names of the scores that the configuration's table gives."""
    return list(config.scores.columns) if config.scores else []


def predictor_names(config: AnnotationConfig, fields: Sequence[str]) -> list[str]:
    """Predictors that are read from the annotation: not those that the table gives under the same name."""
    own = [name for name, _ in predictor_places(fields)] if config.kind == "csq" else []
    return [name for name in own if name not in table_names(config)]


def predictor_places(fields: Sequence[str]) -> list[tuple[str, list[int]]]:
    """Predictors that the sub-fields have, in the order of FIELDS, and where."""
    lower = [field.lower() for field in fields]
    found = [
        (name, [lower.index(field.lower()) for field in known if field.lower() in lower])
        for name, known in FIELDS.items()
    ]
    return [(name, places) for name, places in found if places]


class ScoreReader:
    """Reads the predictors' numbers of an entry of CSQ.

    Parameters
    ----------
    fields
        Its sub-fields in order.
    names
        Which predictors, of FIELDS.
    """

    def __init__(self, fields: Sequence[str], names: Sequence[str]) -> None:
        self._read = [
            (_smallest if name in SMALL_IS_DAMAGING else _largest, places)
            for name, places in predictor_places(fields)
            if name in names
        ]

    def __call__(self, parts: Sequence[str]) -> list[float]:
        """Scores in the order of `score_names`; NaN where an entry has none."""
        return [
            read(parts[places[0]] if len(places) == 1 else "&".join([parts[place] for place in places]))
            for read, places in self._read
        ]

    def __bool__(self) -> bool:
        return bool(self._read)


@lru_cache(maxsize=65536)
def _largest(text: str) -> float:
    return _most_damaging(text, max)


@lru_cache(maxsize=65536)
def _smallest(text: str) -> float:
    return _most_damaging(text, min)


def _most_damaging(text: str, choose: Callable[[list[float]], float]) -> float:
    numbers = []
    for piece in text.split("&"):
        inner = _IN_BRACKETS.search(piece)  # probably_damaging(0.98)
        number = inner.group(1) if inner else piece
        if _NUMBER.match(number):
            numbers.append(float(number))
    return choose(numbers) if numbers else math.nan
