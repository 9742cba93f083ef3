"""The dataset that joins the two halves: its schema, its manifest, and how configuration is read.

Imports neither Hail nor Spark nor torch: `etl` and `train` both depend on it and never on each other.
"""
