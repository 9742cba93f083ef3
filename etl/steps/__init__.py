"""The steps of the pipeline: `table` says what they depend on, one file each what they do."""

from etl.steps.base import Run, Step
from etl.steps.table import STEPS

__all__ = ["STEPS", "Run", "Step"]
