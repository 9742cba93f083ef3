"""One file for each format of calls; `etl.ingest.files` chooses among them."""
