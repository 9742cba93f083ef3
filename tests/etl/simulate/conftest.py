"""One small study, written once, and its VCF read back into arrays."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from contract.config import build_config
from etl.simulate import Truth, simulate
from etl.simulate.config import SimulateConfig

MISSING = -1
SETTINGS = {
    "seed": 8,
    "people": 160,
    "workers": 1,
    "genes": {"count": 40, "coding_length_median": 2700, "backbone_markers": 400, "overlap_share": 0.4},
    "relatives": {"duplicates": 2, "parent_child": 3, "siblings": 3, "half_siblings": 2, "avuncular": 2},
    "sample_defects": {"sex_error_share": 0.02, "contaminated_share": 0.02, "low_quality_share": 0.02},
    "variant_defects": {
        "excess_heterozygotes": 0.01,
        "differential_missingness": 0.01,
        "low_call_rate": 0.01,
        "batch_artefact": 0.01,
        "failed_filter": 0.02,
    },
    "consequences": {"plof_half_frequency": 0.02, "damaging_half_frequency": 0.02},
    "phenotype": {"prevalence": 0.1, "heritability": 0.6, "causal_genes": 20},
}


@pytest.fixture(scope="session")
def config_with() -> Callable[..., SimulateConfig]:
    """Configuration of the small study with some settings changed."""
    return lambda out, **changes: build_config(
        SimulateConfig, {**SETTINGS, "out": str(out), **changes}, "test"
    )


@dataclass(frozen=True)
class Calls:
    """A VCF as arrays: `sites` one row a record, `copies` of the alternative allele, AD, DP and GQ."""

    header: list[str]
    sample_ids: list[str]
    sites: pd.DataFrame
    copies: np.ndarray
    reads: np.ndarray
    depth: np.ndarray
    quality: np.ndarray


def read_vcf(path: Path) -> Calls:
    """Biallelic view: reads and copies of the reference and the first alternative allele."""
    with gzip.open(path, "rt") as stream:
        lines = stream.read().splitlines()
    header = [line for line in lines if line.startswith("##")]
    columns = next(line for line in lines if line.startswith("#CHROM")).split("\t")
    records = [line.split("\t") for line in lines if not line.startswith("#")]
    sites = pd.DataFrame(
        [record[:9] for record in records],
        columns=["contig", "position", "id", "ref", "alt", "qual", "filter", "info", "format"],
    ).astype({"position": int})
    entries = [[entry.split(":") for entry in record[9:]] for record in records]
    return Calls(
        header=header,
        sample_ids=columns[9:],
        sites=sites,
        copies=np.array([[_copies(entry[0]) for entry in row] for row in entries]),
        reads=np.array([[[int(n) for n in entry[1].split(",")[:2]] for entry in row] for row in entries]),
        depth=np.array([[int(entry[2]) for entry in row] for row in entries]),
        quality=np.array(
            [[MISSING if entry[3] == "." else int(entry[3]) for entry in row] for row in entries]
        ),
    )


def _copies(genotype: str) -> int:
    return MISSING if "." in genotype else genotype.count("1")


@dataclass(frozen=True)
class Written:
    out: Path
    config: SimulateConfig
    truth: Truth
    calls: Calls
    samples: pd.DataFrame

    def place(self, sample_id: str) -> int:
        return self.calls.sample_ids.index(sample_id)

    def rows(self, kind: str) -> list[int]:
        """Places in the VCF of the bad variants of a kind."""
        wanted = {(bad.contig, bad.position) for bad in self.truth.bad_variants if bad.kind == kind}
        pairs = zip(self.calls.sites.contig, self.calls.sites.position, strict=True)
        return [i for i, pair in enumerate(pairs) if pair in wanted]

    def clean_rows(self) -> np.ndarray:
        """Biallelic autosomal SNVs that carry no planted defect."""
        sites = self.calls.sites
        bad = {(bad.contig, bad.position) for bad in self.truth.bad_variants}
        planted = [pair in bad for pair in zip(sites.contig, sites.position, strict=True)]
        is_snv = (sites.ref.str.len() == 1) & (sites.alt.str.len() == 1)
        return np.flatnonzero(is_snv & (sites.contig != "chrX") & ~np.array(planted))


@pytest.fixture(scope="session")
def study(tmp_path_factory: pytest.TempPathFactory, config_with: Callable[..., SimulateConfig]) -> Written:
    out = tmp_path_factory.mktemp("study")
    config = config_with(out)
    truth = simulate(config)
    samples = pd.read_csv(out / "samples.tsv", sep="\t", dtype=str, keep_default_na=False)
    return Written(out, config, truth, read_vcf(out / "cohort.vcf.bgz"), samples)
