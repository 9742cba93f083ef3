"""Real exome calls with every GATK field, through all steps; the limits are those that 122 sites allow."""

import gzip
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console

from contract.config import build_config
from contract.dataset import read_samples
from contract.manifest import Manifest, read_manifest
from etl.config import EtlConfig
from etl.pipeline import run

EUROPEAN = ["CEU", "GBR", "TSI", "FIN", "IBS"]
LIMITS = {
    "sample": {"min_call_rate": 0.4, "min_mean_dp": 10, "min_mean_gq": 30},
    "relatedness": {
        "min_marker_call_rate": 0.5,
        "max_r2": 0.9,
        "n_components": 2,
    },
    "ancestry": {"n_components": 2},
    "variant": {"min_call_rate": 0.6, "max_call_rate_difference": 0.1},
}


pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def vcf(shared_data: Path) -> Path:
    (path,) = (shared_data / "07_1kg_exome_gatk_1182").glob("*.vcf.gz")
    return path


@pytest.fixture(scope="module")
def records(vcf: Path) -> pd.DataFrame:
    """The calls as text, by nobody's VCF reader: one row for each record, a column for each person."""
    with gzip.open(vcf, "rt") as lines:
        return pd.read_csv(lines, sep="\t", skiprows=header_lines(vcf), dtype=str)


def header_lines(vcf: Path) -> int:
    with gzip.open(vcf, "rt") as lines:
        return next(number for number, line in enumerate(lines) if line.startswith("#CHROM"))


def study(shared: Path, folder: Path, vcf: Path, people: list[str]) -> EtlConfig:
    """The exome's people stand in the pedigree of 1000 Genomes among others: the table may hold only them."""
    pedigree = pd.read_csv(shared / "06_1kg_phase3_chr22_2504/20130606_g1k.ped", sep="\t", dtype=str)
    pedigree = pedigree[pedigree["Individual ID"].isin(people)]
    pedigree.to_csv(folder / "samples.tsv", sep="\t", index=False)
    others = sorted(set(pedigree["Population"]) - set(EUROPEAN))
    columns = {"gene_id": "ensgene", "symbol": "symbol", "contig": "chr", "start": "start", "end": "end"}
    settings = {
        "out": str(folder / "out"),
        "reference": "GRCh37",
        "input": {"vcf": str(vcf)},
        "samples": {
            "path": str(folder / "samples.tsv"),
            "sample_id": "Individual ID",
            "status": {"column": "Population", "case": EUROPEAN, "control": others},
            "sex": {"column": "Gender", "female": ["2"], "male": ["1"]},
            "family": "#Family ID",
        },
        "genes": {
            "path": str(shared / "08_gene_tables/ensembl_genes/ensembl_grch37_protein_coding_genes.tsv.gz"),
            "columns": columns,
        },
        "annotation": {"kind": "intervals"},
        "masks": {"preset": "any"},
        "thresholds": LIMITS,
        "kinship": "skip",
    }
    return build_config(EtlConfig, settings, "test")


@pytest.fixture(scope="module")
def config(
    shared_data: Path,
    vcf: Path,
    records: pd.DataFrame,
    tmp_path_factory: pytest.TempPathFactory,
    hail_session: None,
) -> EtlConfig:
    """The study after all steps."""
    config = study(shared_data, tmp_path_factory.mktemp("exome"), vcf, list(records.columns[9:]))
    run(config, console=Console(quiet=True))
    return config


@pytest.fixture(scope="module")
def manifest(config: EtlConfig) -> Manifest:
    return read_manifest(config.dataset)


def counted(manifest: Manifest, step: str, reason: str) -> int:
    (entry,) = [entry for entry in manifest.ledger if (entry.step, entry.reason) == (step, reason)]
    return entry.count


def test_run__genotype_rules_count_what_the_text_holds(manifest: Manifest, records: pd.DataFrame):
    alleles = records["ALT"].str.count(",") + 1
    calls = records.iloc[:, 9:].loc[records.index.repeat(alleles)]
    called = ~calls.apply(lambda column: column.str.startswith("./."))
    depth = calls.apply(lambda column: pd.to_numeric(column.str.split(":").str[2], errors="coerce"))
    assert manifest.counts["genotypes_in"] == calls.size == 123 * 1182
    assert counted(manifest, "ingest", "not_called") == (~called).to_numpy().sum()
    assert counted(manifest, "ingest", "depth") == (called & ~(depth >= 10)).to_numpy().sum()
    assert counted(manifest, "ingest", "allele_balance") > 1000


def test_run__people_outside_the_limits_are_dropped(config: EtlConfig, manifest: Manifest):
    metrics = pd.read_parquet(Path(config.work, "02_sample_metrics", "metrics.parquet"))
    low = metrics["call_rate"] < 0.4
    assert counted(manifest, "sample_metrics", "call_rate") == low.sum() > 20
    assert counted(manifest, "sample_metrics", "mean_dp") == (metrics["mean_dp"] < 10).sum() > 5
    dropped = set(metrics.loc[low, "sample_id"])
    kept = read_samples(config.dataset, manifest, range(10), ["sample_id"])["sample_id"]
    assert not dropped & set(kept)
    assert len(kept) == manifest.n_samples > 500


def test_run__variants_outside_the_limits_are_dropped(manifest: Manifest, records: pd.DataFrame):
    assert counted(manifest, "variant_qc", "filter_not_pass") == (records["FILTER"] != "PASS").sum() == 29
    assert counted(manifest, "variant_qc", "call_rate") > 20
    assert 20 < manifest.counts["variants_out"] < 123 - 29


def test_run__overlapping_genes_each_get_the_variant(config: EtlConfig, manifest: Manifest):
    genes = pd.read_parquet(Path(config.dataset, "genes.parquet")).set_index("position")["symbol"]
    indices = read_samples(config.dataset, manifest, range(10), ["indices"])["indices"].explode().dropna()
    found = set(genes[(indices % manifest.n_genes).astype(int)])
    assert found == {"SAMD11", "AL645608.1"}, "the second lies within the first"
