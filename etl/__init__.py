"""Cohort quality control and gene-level aggregation with Hail on Spark. Run as `python -m etl`."""
