"""The same cohort in every format becomes the same dataset, but for what the format can't say.

All runs do without GQ, DP, AD, PL, FILTER and consequences, and without records of several alternates.
"""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from rich.console import Console

from contract.dataset import read_genes, read_samples
from contract.manifest import read_manifest
from etl.check import check
from etl.config import EtlConfig
from etl.pipeline import run
from tests.etl.ingest.sources.cohorts import convert, plink2, write_vds  # noqa: F401 - a fixture
from tests.etl.mini import write_bgzip
from tests.etl.study import Study

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("hail_session")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("formats")


@pytest.fixture(scope="module")
def people(simulated: Study) -> pd.DataFrame:
    return pd.read_csv(simulated.cohort / "samples.tsv", sep="\t", dtype=str, keep_default_na=False)


@pytest.fixture(scope="module")
def vcf(simulated: Study, folder: Path) -> Path:
    texts = [
        gzip.decompress((simulated.cohort / f"calls.{number}.vcf.bgz").read_bytes()).decode()
        for number in (1, 2)
    ]
    lines = [line for line in texts[0].splitlines(keepends=True) if line.startswith("#")]
    header = [line for line in lines if "##FORMAT=" not in line or "ID=GT," in line]
    records = [line for text in texts for line in text.splitlines(keepends=True) if not line.startswith("#")]
    some = {line.split("\t", 2)[1]: line for line in records if "," not in line.split("\t", 5)[4]}
    return write_bgzip(folder / "cohort.vcf.gz", "".join([*header, *map(genotypes_alone, some.values())]))


def genotypes_alone(record: str) -> str:
    """The record without DP, by which people are judged too where a format has it."""
    cells = record.rstrip("\n").split("\t")
    return "\t".join([*cells[:8], "GT", *(cell.split(":")[0] for cell in cells[9:])]) + "\n"


def config_of(study: Study, out: Path, **changes: Any) -> EtlConfig:
    samples = {
        "path": str(study.cohort / "samples.tsv"),
        "status": {"column": "status", "case": ["case"], "control": ["control"]},
        "sex": {"column": "sex"},
        "family": "family_id",
    }
    settings = {
        "out": out,
        "genotype_qc": "skip",
        "annotation": {"kind": "intervals"},
        "masks": {"preset": "any"},
        "samples": samples,
        "thresholds.variant.require_pass": "false",
    }
    return study.config(**(settings | changes))


def dataset_of(config: EtlConfig) -> tuple[pd.DataFrame, pd.DataFrame]:
    assert check(config) == []
    run(config, console=Console(quiet=True))
    manifest = read_manifest(config.dataset)
    samples = read_samples(config.dataset, manifest, range(10)).sort_values("sample_id", ignore_index=True)
    return samples, read_genes(config.dataset)


@pytest.fixture(scope="module")
def of_vcf(simulated: Study, vcf: Path, folder: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    found = dataset_of(config_of(simulated, folder / "vcf", input={"vcf": str(vcf)}))
    assert found[0]["indices"].map(len).sum() > 1000
    return found


def assert_same(found: tuple[pd.DataFrame, ...], wanted: tuple[pd.DataFrame, ...]) -> None:
    for ours, theirs in zip(found, wanted, strict=True):
        pd.testing.assert_frame_equal(ours, theirs)


def write_fam(people: pd.DataFrame, path: Path) -> None:
    """The samples table as a .fam, in the order of the people that plink2 wrote there."""
    order = [line.split()[1] for line in path.read_text().splitlines()]
    codes = {"case": "2", "control": "1", "female": "2", "male": "1"}
    rows = people.set_index("sample_id").loc[order].reset_index()
    lines = [
        f"{row.family_id or 0} {row.sample_id} 0 0 {codes.get(row.sex, 0)} {codes.get(row.status, -9)}\n"
        for row in rows.itertuples()
    ]
    path.write_text("".join(lines))


def test_plink__with_people_of_the_fam(
    simulated: Study,
    vcf: Path,
    folder: Path,
    people: pd.DataFrame,
    of_vcf: tuple[pd.DataFrame, ...],
    plink2: str,  # noqa: F811
):
    prefix = convert(plink2, vcf, "--make-bed", people=sexes(people))
    write_fam(people, prefix.with_suffix(".fam"))
    changes = {"input": {"plink": str(prefix)}, "samples": {"path": f"{prefix}.fam"}}
    assert_same(dataset_of(config_of(simulated, folder / "plink", **changes)), of_vcf)


def test_pgen(
    simulated: Study,
    vcf: Path,
    folder: Path,
    people: pd.DataFrame,
    of_vcf: tuple[pd.DataFrame, ...],
    plink2: str,  # noqa: F811
):
    pytest.importorskip("pgenlib", reason="no package pgenlib")
    prefix = convert(plink2, vcf, "--make-pgen", people=sexes(people))
    found = dataset_of(config_of(simulated, folder / "pgen", input={"pgen": str(prefix)}))
    assert_same(found, of_vcf)


def test_bgen(
    simulated: Study,
    vcf: Path,
    folder: Path,
    people: pd.DataFrame,
    of_vcf: tuple[pd.DataFrame, ...],
    plink2: str,  # noqa: F811
):
    prefix = convert(plink2, vcf, "--export", "bgen-1.2", "bits=16", "ref-first", people=sexes(people))
    calls = {"bgen": f"{prefix}.bgen", "sample": f"{prefix}.sample"}
    assert_same(dataset_of(config_of(simulated, folder / "bgen", input=calls)), of_vcf)


def test_matrix_table(simulated: Study, vcf: Path, folder: Path, of_vcf: tuple[pd.DataFrame, ...]):
    import hail as hl

    path = str(folder / "cohort.mt")
    hl.import_vcf(str(vcf), reference_genome="GRCh37", force_bgz=True).write(path)
    config = config_of(simulated, folder / "matrix_table", input={"matrix_table": path})
    assert_same(dataset_of(config), of_vcf)
    assert list(Path(config.work).rglob("shards*")) == []


def test_vds(simulated: Study, vcf: Path, folder: Path, of_vcf: tuple[pd.DataFrame, ...]):
    path = write_vds(vcf, folder / "cohort.vds", force_bgz=True)
    config = config_of(simulated, folder / "of_vds", input={"vds": path})
    # Reference calls come from blocks, missing calls from where none lies; neither shows in the dataset.
    assert_same(dataset_of(config), of_vcf)
    assert list(Path(config.work).rglob("shards*")) == []


def sexes(people: pd.DataFrame) -> dict[str, str]:
    codes = people["sex"].map({"female": "2", "male": "1"}).fillna("0")
    return dict(zip(people["sample_id"], codes, strict=True))
