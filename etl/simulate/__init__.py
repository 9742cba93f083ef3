"""Simulated case/control exome cohorts with known truth; needs neither Hail nor Spark."""

from etl.simulate.run import run_simulation, simulate
from etl.simulate.truth import Truth, load_truth, oracle_auroc

__all__ = ["Truth", "load_truth", "oracle_auroc", "run_simulation", "simulate"]
