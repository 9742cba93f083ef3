"""What a finished run's quality control said, from the tables that its steps leave."""

from pathlib import Path

import pandas as pd

from etl.cohort.schema import KEY
from etl.config import EtlConfig
from etl.simulate.recovery import Findings


def read_findings(config: EtlConfig) -> Findings:
    """Reasons of people and variants, and pairs of relatives."""
    steps = Path(config.work)
    reasons = pd.read_parquet(steps / "02_sample_metrics/metrics.parquet").set_index("sample_id")["reasons"]
    for later in ("03_relatedness/duplicates.parquet", "04_ancestry/components.parquet"):
        told = pd.read_parquet(steps / later).set_index("sample_id")["reasons"]
        reasons.loc[told.index] = told
    return Findings(
        person_reasons=reasons,
        pairs=pd.read_parquet(steps / "03_relatedness/kinship.parquet"),
        dropped_variants=pd.read_parquet(
            steps / "05_variant_qc/variants.parquet",
            filters=[("passes", "==", False)],
            columns=[*KEY, "reasons"],
        ),
    )
