"""Writing the dataset of `contract/` from Spark."""
