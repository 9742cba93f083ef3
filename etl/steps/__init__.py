"""The steps of the pipeline, one file each, in the order of their numbers."""

from etl.steps.base import Run, Step
from etl.steps.ingest import INGEST
from etl.steps.sample_metrics import SAMPLE_METRICS

STEPS: tuple[Step, ...] = (INGEST, SAMPLE_METRICS)

__all__ = ["STEPS", "Run", "Step"]
