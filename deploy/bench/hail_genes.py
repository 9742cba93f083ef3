"""The yardstick of the aggregation: Hail's group_rows_by(gene).aggregate, and its entries as Parquet.

python -m deploy.bench.hail_genes RUN MATRIX_TABLE GENOME FOLDER; writes FOLDER/hail_genes.json
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

import pyarrow.dataset as ds
import pyarrow.parquet as pq

from etl.cohort.schema import KEY
from etl.config import SparkConfig
from etl.session import hail_session
from etl.steps.ingest import COHORT
from etl.steps.names import FEATURES
from etl.steps.table import INGEST, MASKS


def write_membership(run: Path, out: Path) -> None:
    """Write which variants count in which features, as Hail imports it: locus, alleles, features."""
    variants = pq.read_table(run / "steps" / INGEST.folder / COHORT, columns=["variant", *KEY]).to_pandas()
    counted = pq.read_table(run / "steps" / MASKS.folder / FEATURES).to_pandas()
    rows = counted.merge(variants, on="variant")
    with out.open("w", encoding="utf-8") as stream:
        stream.write("locus\talleles\tfeatures\n")
        for row in rows.itertuples():
            features = [int(feature["index"]) for feature in row.features]
            alleles = json.dumps([row.ref, row.alt])
            stream.write(f"{row.contig}:{row.position}\t{alleles}\t{features}\n")


def aggregate(matrix_table: str, membership: str, genome: str, folder: Path) -> dict[str, Any]:
    """Return seconds of aggregating and writing, without those of starting Hail and of reading membership."""
    with hail_session(SparkConfig()):
        import hail as hl

        types = {"locus": hl.tlocus(genome), "alleles": "array<str>", "features": "array<int32>"}
        rows = hl.import_table(membership, types=types).key_by("locus", "alleles")
        rows = rows.checkpoint(str(folder / "membership.ht"), overwrite=True)
        started = time.perf_counter()
        mt = hl.read_matrix_table(matrix_table).select_entries("GT")
        mt = mt.annotate_rows(feature=rows[mt.row_key].features).explode_rows("feature")
        sums = mt.group_rows_by("feature").aggregate(value=hl.agg.sum(mt.GT.n_alt_alleles()))
        sums = sums.filter_entries(sums.value > 0).select_cols().select_rows()
        entries = str(folder / "hail_entries.parquet")
        sums.entries().key_by().to_spark().write.mode("overwrite").parquet(entries)
        seconds = time.perf_counter() - started
    return {
        "hail_aggregation_seconds": seconds,
        "hail_sums": ds.dataset(entries, format="parquet").count_rows(),
    }


if __name__ == "__main__":
    run, matrix_table, genome, out = Path(sys.argv[1]), sys.argv[2], sys.argv[3], Path(sys.argv[4])
    write_membership(run, out / "membership.tsv")
    told = aggregate(matrix_table, str(out / "membership.tsv"), genome, out)
    (out / "hail_genes.json").write_text(json.dumps(told), encoding="utf-8")
