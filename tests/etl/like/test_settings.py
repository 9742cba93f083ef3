import json
from pathlib import Path

import pytest

from contract.config import build_config, load_config
from contract.errors import InputError
from contract.example import write_example
from contract.reference import write_reference
from etl.config import EtlConfig
from etl.like.settings import inherited_settings
from tests.etl.study import DEMO
from tests.references import reference


@pytest.fixture
def first() -> EtlConfig:
    overrides = ["profile=gnomad-v4", "thresholds.sample.min_mean_dp=17", "input.half_calls=haploid"]
    return load_config(EtlConfig, DEMO, overrides)


@pytest.fixture
def dataset(first: EtlConfig, tmp_path: Path) -> str:
    root = tmp_path / "dataset"
    write_example(str(root), n_samples=20, n_genes=3)
    kept = inherited_settings(first.model_dump(mode="json"), first.resolved_profile().model_dump(mode="json"))
    digest = write_reference(str(root / "reference"), reference(root / "reference", config=kept))
    manifest = json.loads((root / "manifest.json").read_text())
    (root / "manifest.json").write_text(json.dumps(manifest | {"reference": digest}))
    return str(root)


def new(dataset: str, **settings: object) -> EtlConfig:
    return build_config(
        EtlConfig, {"out": "o", "like": dataset, "input": {"vcf": "new.vcf"}} | settings, "new"
    )


def test_settings_like__what_counts_is_the_first_cohort_s(dataset: str, first: EtlConfig):
    config = new(dataset)
    assert config.masks == first.masks
    assert config.genes.path == f"{dataset}/reference/genes.tsv"
    assert config.reference == first.reference
    assert config.covariates == first.covariates
    assert config.resolved_profile() == first.resolved_profile()
    assert config.input.vcf == ["new.vcf"]
    assert config.input.half_calls == "haploid"
    assert (config.samples.path, config.samples.status) == ("", None)


def test_settings_like__the_same_told_again_is_no_fault(dataset: str, first: EtlConfig):
    config = new(dataset, masks={"preset": "bipex"}, thresholds={"sample": {"min_mean_dp": 17}})
    assert config.masks == first.masks
    assert config.resolved_profile() == first.resolved_profile()


def test_settings_like__all_that_differs_is_told(dataset: str):
    with pytest.raises(InputError) as raised:
        new(dataset, thresholds={"sample": {"min_mean_dp": 18}}, covariates=["is_female"], folds={"test": 3})
    told = [text.split(": found")[0] for text in raised.value.faults]
    assert told == ["configuration: covariates", "configuration: folds", "configuration: thresholds"]


def test_settings_like__a_second_site_may_have_its_own_files(dataset: str):
    config = new(dataset, intervals={"bed": "own.bed"}, samples={"path": "people.tsv", "batch": "kit"})
    assert config.intervals is not None
    assert config.samples.batch == "kit"


def test_config__status_may_be_unknown_with_like_alone():
    with pytest.raises(InputError, match=r"samples.status to name the column of cases and controls"):
        load_config(EtlConfig, DEMO, ["samples.status=null"])
