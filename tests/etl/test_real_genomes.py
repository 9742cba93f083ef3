"""Real genomes of 1000 Genomes: relatives and ancestries that are known, and a file too small for them."""

import gzip
import re
from pathlib import Path

import pandas as pd
import pytest
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import cross_val_predict
from sklearn.neighbors import KNeighborsClassifier

from contract.config import build_config, load_config
from contract.errors import InputError
from etl.config import EtlConfig
from etl.steps import STEPS
from etl.steps.base import Run
from etl.steps.names import COMPONENTS, KINSHIP
from etl.steps.table import ANCESTRY, RELATEDNESS
from etl.workspace import Record, Workspace

PROJECT = Path(__file__).resolve().parents[2]
SUPER_POPULATIONS = {
    "AFR": ("ACB", "ASW", "LWK", "YRI"),
    "AMR": ("CLM", "MXL", "PUR"),
    "EAS": ("CHB", "JPT"),
    "EUR": ("CEU", "GBR"),
    "SAS": ("GIH",),
}

PARENTS = {
    ("NA19904", "NA19913"),
    ("NA20317", "NA20318"),
    ("NA20320", "NA20321"),
    ("NA20334", "NA20355"),
    ("NA20359", "NA20362"),
    ("NA20882", "NA20900"),
    ("NA20891", "NA20900"),
}
SIBLINGS = {("HG02429", "HG02479"), ("NA19331", "NA19334")}
"""Pairs that the pedigree calls unrelated; of these, NA19331 and NA19334 it calls a parent and a child."""

pytestmark = pytest.mark.slow


def run_steps(config: EtlConfig, last: int) -> Workspace:
    """The first steps, without those that need more than people."""
    workspace = Workspace(config.work)
    for step in STEPS[:last]:
        run = Run(config, config.resolved_profile(), workspace, workspace.begin(step.folder))
        record = Record(**step.work(run).model_dump(), digest="", settings={}, software={}, seconds=0)
        workspace.finish(step.folder, record)
    return workspace


@pytest.fixture(scope="module")
def genomes(shared_data: Path, tmp_path_factory: pytest.TempPathFactory, hail_session: None) -> Workspace:
    """1,126 people at 25,709 variants of all chromosomes, up to their components."""
    settings = [f"data={shared_data}", f"out={tmp_path_factory.mktemp('genomes')}"]
    return run_steps(load_config(EtlConfig, PROJECT / "conf/etl/real.yaml", settings), ANCESTRY.number)


def test_relatedness__nine_pairs_of_first_degree_and_no_other(genomes: Workspace):
    pairs = pd.read_parquet(genomes.folder(RELATEDNESS.folder) / KINSHIP)
    assert pairs["relationship"].isin(["first degree", "second degree", "further"]).all()
    close = pairs[pairs["relationship"] == "first degree"]
    by_ibs0 = {
        is_parent: set(zip(some["first"], some["second"], strict=True))
        for is_parent, some in close.groupby(close["ibs0"] < 0.002)
    }
    assert by_ibs0 == {True: PARENTS, False: SIBLINGS}


def test_components__tell_super_populations_apart(genomes: Workspace, shared_data: Path):
    people = pd.read_parquet(genomes.folder(ANCESTRY.folder) / COMPONENTS).set_index("sample_id")
    table = shared_data / "05_1kg_phase3_genomewide_1126" / "sample_annotation.tsv"
    populations = pd.read_csv(table, sep="\t", index_col="sample.id")["Population"].loc[people.index]
    of = {population: name for name, members in SUPER_POPULATIONS.items() for population in members}
    known = populations.map(of)
    found = cross_val_predict(KNeighborsClassifier(15), people.filter(like="pc"), known, cv=5)
    assert balanced_accuracy_score(known, found) >= 0.97


@pytest.fixture
def one_contig(shared_data: Path, tmp_path: Path) -> EtlConfig:
    """2,504 people at 0.6 million base pairs of chromosome 22."""
    folder = shared_data / "06_1kg_phase3_chr22_2504"
    (vcf,) = folder.glob("*.vcf.gz")
    with gzip.open(vcf, "rt") as lines:
        people = next(line for line in lines if line.startswith("#CHROM")).split()[9:]
    pedigree = pd.read_csv(folder / "20130606_g1k.ped", sep="\t", dtype=str).set_index("Individual ID")
    populations = pedigree.loc[people, "Population"]
    populations.to_csv(tmp_path / "samples.tsv", sep="\t")
    controls = sorted(set(populations) - {"CEU", "GBR"})
    settings = {
        "out": str(tmp_path / "out"),
        "reference": "GRCh37",
        "input": {"vcf": str(vcf)},
        "samples": {
            "path": str(tmp_path / "samples.tsv"),
            "sample_id": "Individual ID",
            "status": {"column": "Population", "case": ["CEU", "GBR"], "control": controls},
        },
        "genes": {"path": str(tmp_path / "genes.gtf")},  # of steps that are not reached
        "annotation": {"kind": "intervals"},
        "masks": {"preset": "any"},
        "genotype_qc": "skip",
    }
    return build_config(EtlConfig, settings, "test")


@pytest.mark.usefixtures("hail_session")
def test_relatedness__one_end_of_a_chromosome_is_refused_with_the_remedy(one_contig: EtlConfig):
    with pytest.raises(InputError) as refused:
        run_steps(one_contig, RELATEDNESS.number)
    (text,) = refused.value.faults
    assert re.search(r"chr22.*kinship: found \d+ independent markers .* wanted at least 500: ", text)
    assert "give calls of more chromosomes" in text
    assert "or kinship: skip with declared families" in text


@pytest.mark.usefixtures("hail_session")
def test_relatedness__one_end_of_a_chromosome_runs_without_kinship(one_contig: EtlConfig):
    workspace = run_steps(one_contig.model_copy(update={"kinship": "skip"}), RELATEDNESS.number)
    record = workspace.record(RELATEDNESS.folder)
    assert record is not None
    assert record.warnings[0].startswith("kinship was not estimated")
    assert pd.read_parquet(workspace.folder(RELATEDNESS.folder) / KINSHIP).empty
