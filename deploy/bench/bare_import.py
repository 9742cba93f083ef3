"""The yardstick of the ETL: Hail's own import of a VCF, written as a matrix table, and nothing else.

python -m deploy.bench.bare_import VCF GENOME OUT SECONDS.json
"""

import json
import sys
import time
from pathlib import Path

from etl.config import SparkConfig
from etl.session import hail_session


def import_and_write(vcf: str, genome: str, out: str) -> float:
    """Import with the settings that files with missing array elements need; return its seconds."""
    with hail_session(SparkConfig()):
        import hail as hl

        started = time.perf_counter()
        mt = hl.import_vcf(vcf, reference_genome=genome, force_bgz=True, array_elements_required=False)
        mt.write(out, overwrite=True)
        return time.perf_counter() - started


if __name__ == "__main__":
    seconds = import_and_write(*sys.argv[1:4])
    Path(sys.argv[4]).write_text(json.dumps({"seconds": seconds}), encoding="utf-8")
