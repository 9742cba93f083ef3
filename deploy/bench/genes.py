"""What follows quality control: aggregation beside Hail's, the export of many people, one new person."""

import json
import shutil
import sys
from pathlib import Path
from typing import Any

from deploy.bench.commands import measure
from deploy.bench.etl import CONFIG, GENOME, read_records, run_etl
from deploy.bench.parts import Part, write_part
from deploy.bench.sizes import GeneSizes
from deploy.bench.suite import Figures

AGGREGATION = "08_aggregation"
TO_DATASET = ("07_masks", AGGREGATION, "09_dataset")
"""Steps from annotated variants to the dataset."""

NEW_PEOPLE = "conf/etl/new_people.yaml"
EXPORT_GENES = 5_000
DRIVER_MEMORY = "2g"
EXOME = (12_000, 19_000)
"""People and genes of the cohort whose size on disk is told."""


def measure_aggregation(folder: Path, sizes: GeneSizes, figures: Figures) -> Figures:
    """Return what masks, aggregation and dataset took, beside Hail on the same people and variants.

    Hail is told which variant counts in which feature, and is timed from its matrix table of
    quality-controlled calls to entries by feature and person; so is our step of aggregation, whose entries
    are those of its tasks. What comes before it and after it, up to the dataset, sample by sample, and what
    describes new people, is told beside it.

    Raises
    ------
    CommandFailed
        If a command fails.
    """
    run = folder / "etl"
    command = ("-m", "etl", "run", CONFIG, f"data={folder / 'cohort'}", f"out={run}", "export=[matrix_table]")
    measure([sys.executable, *command])
    arguments = (str(run), str(run / "cohort.mt"), GENOME, str(folder))
    measure([sys.executable, "-m", "deploy.bench.hail_genes", *arguments])
    told = json.loads((folder / "hail_genes.json").read_text(encoding="utf-8"))
    records = read_records(run)
    seconds = figures["step_seconds"][AGGREGATION]
    dataset = records["09_dataset"]["facts"]
    return {
        "aggregation_seconds": seconds,
        "to_dataset_seconds": sum(figures["step_seconds"][name] for name in TO_DATASET),
        "aggregation_sums": records[AGGREGATION]["facts"]["sums"],
        "aggregation_people_genes_per_second": dataset["people"] * dataset["genes"] / seconds,
        "aggregation_of_hail": told["hail_aggregation_seconds"] / seconds,
        **told,
    }


def measure_export(folder: Path, sizes: GeneSizes, figures: Figures) -> Figures:
    """Return seconds and sizes of the export of drawn features, by people, with a small driver.

    Raises
    ------
    CommandFailed
        If it fails, as it does when the driver's memory is not enough.
    """
    if not sizes.export_people:
        return {}
    growth = [_export(folder, people, EXPORT_GENES, sizes) for people in sizes.export_people]
    return {"export": growth, "exome_export": _export(folder, *EXOME, sizes)}


def measure_like(folder: Path, sizes: GeneSizes, figures: Figures) -> Figures:
    """Return what it takes to describe one new person by a cohort, by half of it, and with half the calls.

    Raises
    ------
    CommandFailed
        If a command fails.
    """
    if not sizes.like:
        return {}
    cohort, half = folder / "cohort", folder / "half"
    write_part(cohort, Part(every=2), half)
    run_etl(half, folder / "half_etl")
    write_part(cohort, Part(people=1, carried=True), folder / "person")
    write_part(folder / "person", Part(every=2), folder / "half_person")
    return {
        "like": _like(folder, "person", "etl"),
        "like_half_the_variants_of_the_person": _like(folder, "half_person", "etl"),
        "like_half_the_variants_of_the_cohort": _like(folder, "half_person", "half_etl"),
    }


def _export(folder: Path, people: int, genes: int, sizes: GeneSizes) -> dict[str, Any]:
    drawn = folder / "export"
    drawn.mkdir(parents=True)
    arguments = (str(people), str(genes), str(sizes.export_density), DRIVER_MEMORY, str(drawn))
    measured = measure([sys.executable, "-m", "deploy.bench.export", *arguments])
    told: dict[str, Any] = json.loads((drawn / "export.json").read_text(encoding="utf-8"))
    shutil.rmtree(drawn)
    return told | {"peak_rss_mb": measured.peak_rss_mb}


def _like(folder: Path, person: str, first: str) -> dict[str, Any]:
    out = folder / "like_etl"
    shutil.rmtree(out, ignore_errors=True)
    files = (
        f"input.vcf={folder / person / 'cohort.vcf.bgz'}",
        f"samples.path={folder / person / 'samples.tsv'}",
    )
    like = f"like={folder / first / 'dataset'}"
    command = ("-m", "etl", "run", NEW_PEOPLE, f"data={folder / person}", f"out={out}", like, *files)
    measured = measure([sys.executable, *command])
    seconds = {name: float(record["seconds"]) for name, record in read_records(out).items()}
    return {
        "variants": read_records(out)["01_ingest"]["facts"]["variants"],
        "seconds": measured.seconds,
        "startup_seconds": measured.seconds - sum(seconds.values()),
        "step_seconds": seconds,
        "peak_rss_mb": measured.peak_rss_mb,
    }
