"""Run `python -m etl` in the Spark session of a Databricks cluster.

etl_task.py SOURCE SCRATCH COMMAND CONF.yaml [key=value ...]

SOURCE is the folder with the packages, SCRATCH one for temporary tables that all machines see: /Volumes/...
"""

from __future__ import annotations

import sys
import tempfile
import zipfile
from pathlib import Path


def start_hail(source: Path, scratch: str, folder: str) -> None:
    """Start Hail on the session that the cluster has; the ETL takes a Hail that runs already as it is.

    Raises InputError where Hail is not made for the cluster's Spark or Java.
    """
    from pyspark.sql import SparkSession

    from etl.engine_check import check_engine
    from etl.hail_versions import start_hail_on
    from etl.session import write_where_java_can

    context = SparkSession.builder.getOrCreate().sparkContext
    check_engine(context, [], on_a_cluster=False)
    import hail

    context.addPyFile(zip_packages(source, Path(folder)))
    start_hail_on(hail, context, log=f"{folder}/hail.log", tmp_dir=scratch, idempotent=True)
    write_where_java_can(hail)


def zip_packages(source: Path, folder: Path) -> str:
    """The packages that tasks on executors import, as a zip file."""
    path = folder / "exoshard-packages.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for package in ("contract", "etl"):
            for file in sorted((source / package).rglob("*.py")):
                archive.write(file, file.relative_to(source))
    return str(path)


def main(arguments: list[str]) -> int:
    if len(arguments) < 4:
        found = " ".join(arguments) or "nothing"
        raise SystemExit(f"etl_task: found {found}, wanted SOURCE SCRATCH COMMAND CONF.yaml [key=value ...]")
    source, scratch, *words = arguments
    sys.path.insert(0, source)
    with tempfile.TemporaryDirectory(prefix="exoshard-", ignore_cleanup_errors=True) as folder:
        from contract.errors import InputError

        try:
            start_hail(Path(source), scratch, folder)
        except InputError as error:
            raise SystemExit("\n".join(f"etl_task: {sentence}" for sentence in error.faults)) from None
        from etl.__main__ import app

        status: int | None = app(words, prog_name="etl", standalone_mode=False)
    return status or 0


if __name__ == "__main__":
    # Databricks takes any SystemExit for a failure, that with 0 too.
    if ended := main(sys.argv[1:]):
        raise SystemExit(f"etl_task: the ETL ended with status {ended}; what was wrong stands above")
