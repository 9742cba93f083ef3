"""Channels of a whole run against sums over the genotypes that the VCF holds, read as plain text."""

import gzip
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.dataset as ds
import pytest
from rich.console import Console

from contract.manifest import read_manifest
from etl.aggregate.config import MaskConfig
from etl.genome import genome
from etl.pipeline import run
from tests.etl.aggregate import dense
from tests.etl.study import Study

CLASSES = ("plof", "damaging_missense", "other_missense", "synonymous")
RULES = (
    {"max_frequency": 0.01},
    {"max_allele_count": 5, "coding": "dominant"},
    {"frequency": "minor", "max_frequency": 0.05},
    {"weight": "beta", "x_coding": "haploid"},
    {"combine": "max", "frequency": "minor"},
    {"combine": "comphet"},
    {"combine": "two_hits", "max_frequency": 0.2},
    {"collapse_allele_count": 10},
)
MASKS = [
    {"name": f"{name}_{place}", "classes": [name], **rule}
    for name in CLASSES
    for place, rule in enumerate(RULES)
]
TEST_FOLD = 0


def read_calls(paths: list[Path]) -> pd.DataFrame:
    """GT of every alternate allele, by contig, position and alleles in minimal representation."""
    rows, people = {}, []
    for path in paths:
        for line in gzip.decompress(path.read_bytes()).decode().splitlines():
            cells = line.split("\t")
            if line.startswith("#CHROM"):
                people = cells[9:]
            if line.startswith("#"):
                continue
            for number, alt in enumerate(cells[4].split(","), start=1):
                position, ref, own = int(cells[1]), cells[3], alt
                while min(len(ref), len(own)) > 1 and ref[-1] == own[-1]:
                    ref, own = ref[:-1], own[:-1]
                while min(len(ref), len(own)) > 1 and ref[0] == own[0]:
                    position, ref, own = position + 1, ref[1:], own[1:]
                texts = [cell.split(":")[0].replace("|", "/").split("/") for cell in cells[9:]]
                rows[cells[0], position, ref, own] = [of_allele(alleles, str(number)) for alleles in texts]
    return pd.DataFrame.from_dict(rows, orient="index", columns=people)


def of_allele(alleles: list[str], number: str) -> str:
    if "." in alleles:
        return "./."
    return "/".join(sorted("1" if allele == number else "0" for allele in alleles))


def by_sex(text_VK: np.ndarray, on_x_V: np.ndarray, sex: pd.Series) -> np.ndarray:
    """Men have one allele on X, and no heterozygous call; women have two."""
    text_VK = text_VK.copy()
    changes = {"male": {"0/0": "0", "1/1": "1", "0/1": "fail"}, "female": {"0": "fail", "1": "fail"}}
    for person, name in enumerate(sex):
        for text, other in changes.get(name, {}).items():
            text_VK[on_x_V & (text_VK[:, person] == text), person] = other
    return text_VK


@pytest.fixture(scope="module")
def study(simulated: Study, hail_session: None, tmp_path_factory: pytest.TempPathFactory) -> Study:
    found = Study(simulated.cohort, tmp_path_factory.mktemp("sums") / "out", simulated.truth)
    settings = {"genotype_qc": "skip", "masks__preset": "null", "masks__masks": json.dumps(MASKS)}
    run(found.config(**settings), console=Console(quiet=True))
    return found


def test_run__every_channel_equals_sums_over_the_vcf(study: Study):
    rows = ds.dataset(study.out / "dataset/samples", partitioning="hive").to_table().to_pandas()
    annotated = ds.dataset(study.out / "steps/06_annotation/annotated.parquet").to_table().to_pandas()
    annotated = annotated.explode("consequences").dropna(subset="consequences")
    calls = read_calls(sorted(study.cohort.glob("calls.*.vcf.bgz")))
    keys = list(zip(*(annotated[name] for name in ("contig", "position", "ref", "alt")), strict=True))
    build = genome("GRCh37")
    on_x_V = np.array([build.region(contig, position) == "x" for contig, position, _, _ in keys])
    n_genes = read_manifest(str(study.out / "dataset")).n_genes
    text_VK = calls.loc[keys, rows["sample_id"]].to_numpy().astype("<U4")
    whole = dense.Study(
        by_sex(text_VK, on_x_V, rows["sex"]),
        on_x_V,
        (rows["sex"] == "male").to_numpy(),
        (rows["fold"] != TEST_FOLD).to_numpy(),
        pd.DataFrame({"gene": [one["gene"] for one in annotated["consequences"]]}),
        n_genes,
    )
    values = np.zeros((len(rows), len(MASKS) * n_genes), dtype=np.float32)
    for place, row in enumerate(rows.itertuples()):
        values[place, row.indices] = row.values
    class_V = np.array([one["variant_class"] for one in annotated["consequences"]])
    assert on_x_V.any()
    for channel, settings in enumerate(MASKS):
        mask = MaskConfig.model_validate(settings)
        wanted = dense.expected_features(whole, mask, class_V == mask.classes[0]).astype(np.float32)
        found = values[:, channel * n_genes : (channel + 1) * n_genes]
        assert np.array_equal(found, wanted), mask.name
    assert (values.reshape(len(rows), len(MASKS), n_genes).sum(axis=(0, 2)) > 0).sum() > 20
