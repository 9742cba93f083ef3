"""All checks in the order in which they are told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from train.audit import alone, batches, exchange, labels, provenance, transfer
from train.audit.evidence import Evidence
from train.audit.rules import Finding


@dataclass(frozen=True)
class Check:
    """One check: its key, what people call it, and the function that looks."""

    name: str
    title: str
    look: Callable[[Evidence], Finding]


CHECKS: tuple[Check, ...] = (
    Check("relatives_across_folds", "relatives across folds", provenance.relatives_across_folds),
    Check("fitted_on_whom", "what was fitted on whom", provenance.fitted_on_whom),
    Check("scaling", "scaling of the training folds", provenance.scaling),
    Check("status_permuted", "status permuted before the ETL", provenance.status_permuted),
    Check("readings", "readings of the sealed fold", provenance.readings),
    Check("labels_in_masks", "labels used in a mask", labels.labels_in_masks),
    Check("sealed_is_exchangeable", "sealed people against the others", exchange.sealed_is_exchangeable),
    Check("call_rates_by_status", "call rates by status", exchange.call_rates_by_status),
    Check("quality_alone", "call rate and missingness alone", alone.quality_alone),
    Check("synonymous_only", "synonymous variants only", alone.synonymous_only),
    Check("covariates_only", "covariates only", alone.covariates_only),
    Check("batch_alone", "batch alone", alone.batch_alone),
    Check("total_count_alone", "total count alone", alone.total_count_alone),
    Check("score_tells_batch", "score → batch", batches.score_tells_batch),
    Check("hidden_units_tell_batch", "hidden units → batch", batches.hidden_units_tell_batch),
    Check("within_strata", "AUROC within batch × ancestry", batches.within_strata),
    Check("leave_one_batch_out", "leave one batch out", transfer.leave_one_batch_out),
)
"""`rules.STATISTICAL_CHECKS` counts those that decide by a test."""
