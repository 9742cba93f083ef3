"""What a run's folder holds, read once for the report and the model card. Ids of people are not read."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq

from contract.errors import InputError, fault
from train.bundle import FACTS_NAME, GENES_NAME
from train.calibration import CALIBRATION_NAME
from train.evaluate import METRICS_NAME, PREDICTIONS_NAME
from train.people_counts import keep_people_counts
from train.run_folder import BUNDLE_NAME, HISTORY_NAME, RUN_NAME

AUDIT_NAME = "audit.json"
LADDER_NAME = "ladder.json"
EXPLANATIONS_NAME = "explanations.json"
EXPLAINED_GENES_NAME = "genes.parquet"

WANTED = "an evaluated run"


@dataclass(frozen=True)
class Record:
    """Files of an evaluated run; what another command leaves is None until it was run.

    Attributes
    ----------
    metrics, facts, run
        metrics.json, the bundle's bundle.json, run.json.
    history
        An entry for each epoch; empty where nothing was trained by epochs.
    predictions
        Columns is_case and one of probabilities for each model; a row for each person of the sealed fold,
        without their ids.
    calibration
        calibration.json of the bundle.
    audit, ladder, explanations
        audit.json, ladder.json, explanations.json.
    genes
        genes.parquet of `explain`, a row for each gene.
    fitted_genes
        genes.parquet of the bundle, which knows inclusion and effects where the model has them.
    people
        Who was trained on, counted; see `train.people_counts`.
    """

    metrics: dict[str, Any]
    facts: dict[str, Any]
    run: dict[str, Any]
    history: list[dict[str, float]] = field(default_factory=list)
    predictions: pd.DataFrame | None = None
    calibration: dict[str, Any] | None = None
    audit: dict[str, Any] | None = None
    ladder: dict[str, Any] | None = None
    explanations: dict[str, Any] | None = None
    genes: pd.DataFrame | None = None
    fitted_genes: pd.DataFrame | None = None
    people: dict[str, Any] | None = None

    @property
    def config(self) -> dict[str, Any]:
        """The resolved configuration that was trained with."""
        return dict(self.facts["config"])

    @property
    def known_genes(self) -> pd.DataFrame | None:
        """The genes of `explain`, else those of the bundle where the model tells which count."""
        if self.genes is not None or self.fitted_genes is None:
            return self.genes
        return self.fitted_genes if "inclusion" in self.fitted_genes else None

    @property
    def folder(self) -> str:
        """The run's folder as its configuration names it, for commands to copy."""
        return str(self.config["run"]["out"])


def read_record(run: Path) -> Record:
    """Read a run's folder.

    Raises
    ------
    InputError
        If the run has not been evaluated, or a file is not what its name says.
    """
    bundle = run / BUNDLE_NAME
    metrics, facts = _needed(run / METRICS_NAME), _needed(bundle / FACTS_NAME)
    return Record(
        metrics=metrics,
        facts=facts,
        run=_needed(run / RUN_NAME),
        history=_json(run / HISTORY_NAME, list) or [],
        predictions=_table(run / PREDICTIONS_NAME),
        calibration=_json(bundle / CALIBRATION_NAME, dict),
        audit=_json(run / AUDIT_NAME, dict),
        ladder=_json(run / LADDER_NAME, dict),
        explanations=_json(run / EXPLANATIONS_NAME, dict),
        genes=_table(run / EXPLAINED_GENES_NAME),
        fitted_genes=_table(bundle / GENES_NAME),
        people=keep_people_counts(bundle, facts["config"]["data"]["dataset"], facts),
    )


def _needed(path: Path) -> dict[str, Any]:
    content = _json(path, dict)
    if content is None:
        raise InputError(fault(path, "whole file", found="no such file", wanted=WANTED))
    return dict(content)


def _json(path: Path, kind: type) -> Any:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError:
        content = None
    if not isinstance(content, kind):
        wanted = f"a JSON {'object' if kind is dict else 'list'}"
        raise InputError(fault(path, "whole file", found="something else, or damaged", wanted=wanted))
    return content


def _table(path: Path) -> pd.DataFrame | None:
    if not path.exists():
        return None
    try:
        # Text that is an id of a person must not come as far as a report.
        named = [field.name for field in pq.read_schema(path) if field.name != "sample_id"]
        return pd.read_parquet(path, columns=named)
    except (OSError, ValueError) as error:
        found = f"damaged ({type(error).__name__})"
        raise InputError(fault(path, "whole file", found=found, wanted="a Parquet file")) from None
