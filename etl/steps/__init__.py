"""The steps of the pipeline, one file each, in the order of their numbers."""

from etl.steps.aggregation import AGGREGATION
from etl.steps.ancestry import ANCESTRY
from etl.steps.annotation import ANNOTATION
from etl.steps.base import Run, Step
from etl.steps.dataset import DATASET
from etl.steps.ingest import INGEST
from etl.steps.masks import MASKS
from etl.steps.relatedness import RELATEDNESS
from etl.steps.report import REPORT
from etl.steps.sample_metrics import SAMPLE_METRICS
from etl.steps.variant_qc import VARIANT_QC

STEPS: tuple[Step, ...] = (
    INGEST,
    SAMPLE_METRICS,
    RELATEDNESS,
    ANCESTRY,
    VARIANT_QC,
    ANNOTATION,
    MASKS,
    AGGREGATION,
    DATASET,
    REPORT,
)

__all__ = ["STEPS", "Run", "Step"]
