"""The yardstick of the ETL: Hail's own import of a VCF, written as a matrix table, and nothing else.

python -m deploy.bench.bare_import VCF GENOME OUT
"""

import sys

import hail as hl

from etl.config import SparkConfig
from etl.session import hail_session


def import_and_write(vcf: str, genome: str, out: str) -> None:
    """Import with the settings that files with missing array elements need."""
    with hail_session(SparkConfig()):
        mt = hl.import_vcf(vcf, reference_genome=genome, force_bgz=True, array_elements_required=False)
        mt.write(out, overwrite=True)


if __name__ == "__main__":
    import_and_write(*sys.argv[1:4])
