"""The whole ETL beside a bare import of the same VCF, and its seconds by step."""

import json
import shutil
import sys
from pathlib import Path
from typing import Any

from deploy.bench.commands import measure
from deploy.bench.sizes import Sizes
from deploy.measure import Measured

COHORT = "conf/simulate/bench.yaml"
CONFIG = "conf/etl/demo.yaml"
GENOME = "GRCh38"


def measure_etl(folder: Path, sizes: Sizes) -> dict[str, Any]:
    """Return seconds and peak memory of the ETL, and of the bare import before and after it (their mean).

    Raises
    ------
    CommandFailed
        If a command fails.
    """
    cohort, out = folder / "cohort", folder / "etl"
    size = [f"people={sizes.cohort_people}", f"genes.count={sizes.cohort_genes}"]
    simulated = _run("etl", "simulate", COHORT, f"out={cohort}", *size)
    bare = [_bare_import(cohort, folder)]
    whole = _run("etl", "run", CONFIG, f"data={cohort}", f"out={out}")
    bare.append(_bare_import(cohort, folder))
    bare_seconds = sum(measured.seconds for measured in bare) / len(bare)
    return {
        "people": sizes.cohort_people,
        "genes": sizes.cohort_genes,
        "simulate_seconds": simulated.seconds,
        "bare_import_seconds": bare_seconds,
        "bare_import_peak_rss_mb": max(measured.peak_rss_mb for measured in bare),
        "etl_seconds": whole.seconds,
        "etl_peak_rss_mb": whole.peak_rss_mb,
        "ratio": whole.seconds / bare_seconds,
        "step_seconds": step_seconds(out),
    }


def step_seconds(out: Path) -> dict[str, float]:
    """Return the seconds of each step of a finished run, from the records in its folder."""
    records = sorted(out.glob("steps/*/record.json"))
    return {path.parent.name: json.loads(path.read_text())["seconds"] for path in records}


def _bare_import(cohort: Path, folder: Path) -> Measured:
    target = folder / "bare_import.mt"
    measured = _run("deploy.bench.bare_import", str(cohort / "cohort.vcf.bgz"), GENOME, str(target))
    shutil.rmtree(target, ignore_errors=True)
    return measured


def _run(module: str, *arguments: str) -> Measured:
    return measure([sys.executable, "-m", module, *arguments])
