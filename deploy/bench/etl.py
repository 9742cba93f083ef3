"""The ETL beside a bare import of the same VCF: seconds, memory and size on disk, whole and by step."""

import json
import os
import shutil
import struct
import sys
from pathlib import Path
from typing import Any

from deploy.bench.commands import measure
from deploy.measure import Measured

COHORT = "conf/simulate/bench.yaml"
CONFIG = "conf/etl/demo.yaml"
GENOME = "GRCh38"
VCF = "cohort.vcf.bgz"
INGEST = "01_ingest"
KINSHIP = ("03_relatedness", "04_ancestry")
"""Steps of kinship and components, told apart: their cost is of people × people."""


def simulate(cohort: Path, *, people: int, genes: int) -> float:
    """Write a cohort; return the seconds that it took.

    Raises
    ------
    CommandFailed
        If it fails.
    """
    size = [f"people={people}", f"genes.count={genes}"]
    return _run("etl", "simulate", COHORT, f"out={cohort}", *size).seconds


def measure_etl(cohort: Path, folder: Path) -> dict[str, Any]:
    """Return the ETL's figures on a cohort, beside bare imports before and after it (their mean).

    `ratio` divides seconds of whole processes, start-up included, but for `ingest_ratio`: there it is the
    step's own seconds by those of a whole bare import; `ingest_ratio_of_write` leaves out its start-up too.

    Raises
    ------
    CommandFailed
        If a command fails.
    """
    bare = [_bare_import(cohort, folder)]
    figures = run_etl(cohort, folder / "etl")
    bare.append(_bare_import(cohort, folder))
    import_seconds = _mean([measured.seconds for measured, _ in bare])
    write_seconds = _mean([seconds for _, seconds in bare])
    ratios = {
        "ingest_ratio": figures["ingest_seconds"] / import_seconds,
        "ingest_ratio_of_write": figures["ingest_seconds"] / write_seconds,
        "etl_ratio": figures["etl_seconds"] / import_seconds,
        "etl_ratio_without_kinship": figures["etl_seconds_without_kinship"] / import_seconds,
    }
    return {
        "bare_import_seconds": import_seconds,
        "bare_write_seconds": write_seconds,
        "bare_import_peak_rss_mb": max(measured.peak_rss_mb for measured, _ in bare),
        **ratios,
        **figures,
        **speed(figures, text_bytes(cohort / VCF)),
    }


def run_etl(cohort: Path, out: Path, *overrides: str) -> dict[str, Any]:
    """Run the whole ETL on a cohort and return its figures; `overrides` replace settings.

    Raises
    ------
    CommandFailed
        If it fails.
    """
    shutil.rmtree(out, ignore_errors=True)
    whole = _run("etl", "run", CONFIG, f"data={cohort}", f"out={out}", *overrides)
    return etl_figures(out, whole)


def etl_figures(out: Path, whole: Measured) -> dict[str, Any]:
    """Return what a finished run tells of itself, and of the whole of it what was measured from outside."""
    records = read_records(out)
    seconds = {name: float(record["seconds"]) for name, record in records.items()}
    kinship = sum(seconds.get(name, 0.0) for name in KINSHIP)
    facts = records[INGEST]["facts"]
    return {
        "people": facts["people"],
        "variants": facts["variants"],
        "etl_seconds": whole.seconds,
        "ingest_seconds": seconds[INGEST],
        "kinship_seconds": kinship,
        "etl_seconds_without_kinship": whole.seconds - kinship,
        "startup_seconds": whole.seconds - sum(seconds.values()),
        "peak_rss_mb": whole.peak_rss_mb,
        "step_seconds": seconds,
        "passes_over_vcf": _passes(records, "passes_over_vcf"),
        "passes_over_calls": _passes(records, "passes_over_calls"),
        "cohort_mb": folder_bytes(out / "steps" / INGEST / "cohort") / 1e6,
    }


def speed(figures: dict[str, Any], n_bytes: int) -> dict[str, float]:
    """Return genotypes and megabytes of VCF text that a core reads in a second of the ingest step."""
    core_seconds = figures["ingest_seconds"] * len(os.sched_getaffinity(0))
    return {
        "vcf_text_mb": n_bytes / 1e6,
        "genotypes_per_core_second": figures["people"] * figures["variants"] / core_seconds,
        "text_mb_per_core_second": n_bytes / 1e6 / core_seconds,
    }


def text_bytes(path: Path) -> int:
    """Return the size of a bgzipped file's text: each block tells its own (SAM specification, 4.1)."""
    total, position, size = 0, 0, path.stat().st_size
    with path.open("rb") as stream:
        while position < size:
            stream.seek(position + 16)
            position += struct.unpack("<H", stream.read(2))[0] + 1
            stream.seek(position - 4)
            total += struct.unpack("<I", stream.read(4))[0]
    return total


def folder_bytes(folder: Path) -> int:
    """Return the size of all files below a folder; 0 where there is none."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def read_records(out: Path) -> dict[str, dict[str, Any]]:
    """Return the record of each finished step of a run, by the name of its folder."""
    return {
        path.parent.name: json.loads(path.read_text()) for path in sorted(out.glob("steps/*/record.json"))
    }


def _passes(records: dict[str, dict[str, Any]], name: str) -> int | None:
    """Sum over the steps that count their passes; None where none does."""
    told = [record["facts"][name] for record in records.values() if name in record["facts"]]
    return sum(told) if told else None


def _bare_import(cohort: Path, folder: Path) -> tuple[Measured, float]:
    """What a bare import took as a process, and the seconds of the import alone."""
    target, told = folder / "bare_import.mt", folder / "bare_import.json"
    measured = _run("deploy.bench.bare_import", str(cohort / VCF), GENOME, str(target), str(told))
    shutil.rmtree(target, ignore_errors=True)
    return measured, float(json.loads(told.read_text())["seconds"])


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)


def _run(module: str, *arguments: str) -> Measured:
    return measure([sys.executable, "-m", module, *arguments])
