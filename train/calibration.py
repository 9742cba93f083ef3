"""Scaling of logits to probabilities that hold: two numbers, fitted on people whom the model did not see."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit, logit

from contract.errors import InputError, fault
from train.people import UNKNOWN, People

CALIBRATION_NAME = "calibration.json"
SMALLEST_SLOPE = 0.01
"""A slope of 0 or less would tie people or turn their order round, and with it AUROC. Where logits say
nothing of status this gives everybody nearly the share of cases, in the network's order."""


@dataclass(frozen=True)
class Calibration:
    """Logit of the calibrated probability = slope × logit of the network + intercept.

    `n` is the number of people it was fitted on.
    """

    slope: float
    intercept: float
    n: int

    def logits(self, logit_M: NDArray[np.float64]) -> NDArray[np.float64]:
        """Calibrated logits, in the same order of people."""
        return self.slope * np.asarray(logit_M, np.float64) + self.intercept

    def probabilities(self, logit_M: NDArray[np.float64]) -> NDArray[np.float64]:
        """Calibrated probabilities of being a case."""
        return np.asarray(expit(self.logits(logit_M)))


NO_CALIBRATION = Calibration(slope=1.0, intercept=0.0, n=0)
"""Leaves logits as they are."""


def fit_calibration(logit_M: NDArray[np.float64], is_case_M: NDArray[np.int8]) -> Calibration:
    """Slope and intercept of greatest likelihood (Platt 1999), the slope at least `SMALLEST_SLOPE`.

    Platt's targets, (cases + 1) / (cases + 2) for cases and 1 / (controls + 2) for controls, keep both finite
    where the logits part the classes perfectly.

    Parameters
    ----------
    logit_M
        Logit of each of M people, by a model that was fitted without them.
    is_case_M
        1 or 0. People whose label is unknown are to be left out before.

    Raises
    ------
    InputError
        If a logit isn't finite, a label is neither 1 nor 0, or one class is absent.
    """
    logit_M = np.asarray(logit_M, np.float64)
    _check(logit_M, is_case_M)
    n_cases, n = int((is_case_M == 1).sum()), len(is_case_M)
    target_M = np.where(is_case_M == 1, (n_cases + 1) / (n_cases + 2), 1 / (n - n_cases + 2))
    mean, spread = float(logit_M.mean()), float(logit_M.std())
    if spread == 0:
        return Calibration(1.0, float(logit(target_M.mean())) - mean, n)
    # The search runs on standardised logits, so that both directions are of one size.
    z_M = (logit_M - mean) / spread

    def loss(parameters: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        eta_M = parameters[0] * z_M + parameters[1]
        residual_M = expit(eta_M) - target_M
        gradient = np.array([residual_M @ z_M, residual_M.sum()])
        return float((np.logaddexp(0, eta_M) - target_M * eta_M).sum()) / n, gradient / n

    found = minimize(
        loss,
        x0=np.array([spread, mean]),
        jac=True,
        method="L-BFGS-B",
        bounds=[(SMALLEST_SLOPE * spread, None), (None, None)],
        options={"ftol": 1e-14, "gtol": 1e-10, "maxiter": 1000},
    )
    slope = float(found.x[0]) / spread
    return Calibration(slope, float(found.x[1]) - slope * mean, n)


def fit_out_of_fold(out_of_fold: pd.DataFrame, people: People) -> Calibration:
    """The calibration of a run from the scores that it left of people out of fold.

    Parameters
    ----------
    out_of_fold
        Columns sample_index and logit, as `fit` writes them to out_of_fold.parquet.
    people
        Labels of these people; who has none is left out.

    Raises
    ------
    InputError
        As `fit_calibration`, and if a person isn't among `people`.
    """
    at = people.rows(out_of_fold["sample_index"].to_numpy())
    is_case_M = people.is_case_M[at]
    known = is_case_M != UNKNOWN
    return fit_calibration(out_of_fold["logit"].to_numpy(np.float64)[known], is_case_M[known])


def save_calibration(bundle: Path, calibration: Calibration) -> Path:
    """Write calibration.json into a bundle's folder and return its path."""
    path = bundle / CALIBRATION_NAME
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(asdict(calibration), indent=1))
    partial.replace(path)
    return path


def load_calibration(bundle: Path) -> Calibration:
    """The calibration in a bundle's folder; `NO_CALIBRATION` where it holds none.

    Raises
    ------
    InputError
        If the file is damaged.
    """
    path = bundle / CALIBRATION_NAME
    try:
        calibration = Calibration(**json.loads(path.read_text()))
        usable = np.isfinite([calibration.slope, calibration.intercept]).all() and calibration.slope > 0
    except FileNotFoundError:
        return NO_CALIBRATION
    except (ValueError, TypeError):
        usable = False
    if not usable:
        wanted = "slope above 0, intercept and n, as fit writes them"
        raise InputError(fault(path, "whole file", found="damaged", wanted=wanted))
    return calibration


def _check(logit_M: NDArray[np.float64], is_case_M: NDArray[np.int8]) -> None:
    faults = []
    if not np.isfinite(logit_M).all():
        found = f"{int((~np.isfinite(logit_M)).sum())} that are not finite"
        faults.append(fault("calibration", "logits", found=found, wanted="finite numbers"))
    if not np.isin(is_case_M, (0, 1)).all():
        faults.append(fault("calibration", "labels", found="another value", wanted="1 or 0"))
    elif len(np.unique(is_case_M)) < 2:
        cases = int((is_case_M == 1).sum())
        found = f"{cases} cases and {len(is_case_M) - cases} controls"
        faults.append(fault("calibration", "labels", found=found, wanted="both"))
    if faults:
        raise InputError(faults)
