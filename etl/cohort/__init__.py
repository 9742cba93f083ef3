"""The sparse cohort: a Parquet table of variants that names only the people whose call carries news."""
