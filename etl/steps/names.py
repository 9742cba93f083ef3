"""Outputs that several steps read, named apart from the steps: importing one brings Hail or scikit-learn."""

KINSHIP = "kinship.parquet"
"""Of step 3: pairs."""

SAMPLES, COMPONENTS, LOADINGS = "samples.parquet", "components.parquet", "loadings.parquet"
"""Of step 4: people who stay, everybody's components with reasons, and what projects new people."""

VARIANTS = "variants.parquet"
"""Of step 5."""

FEATURES = "features.parquet"
"""Of step 7."""
