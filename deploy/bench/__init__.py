"""Measurements of the ETL, the loaders and the training, for `make bench`."""
