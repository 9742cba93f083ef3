from pathlib import Path

import hail as hl
import numpy as np
import pandas as pd
import pytest

from contract.config import load_config
from etl.config import PROFILES, VcfConfig
from etl.ingest.files import read_headers
from etl.ingest.normalise import key_by_minimal, split_alleles
from etl.ingest.vcf import read_vcf
from etl.qc.genotype import genotype_failures, sparse_cohort
from etl.qc.sample_metrics import hard_failures, join_reasons, measure_samples
from etl.thresholds import Profile


@pytest.fixture(scope="module")
def profile() -> Profile:
    return load_config(Profile, PROFILES / "bipex.yaml")


def people(**columns: list[object]) -> pd.DataFrame:
    fine = {
        "call_rate": 0.99,
        "mean_dp": 40.0,
        "mean_gq": 80.0,
        "charr": 0.001,
        "is_case": 1,
        "imputed_sex": "male",
        "reported_sex": "male",
    }
    n = len(next(iter(columns.values())))
    return pd.DataFrame({name: [value] * n for name, value in fine.items()} | columns)


@pytest.mark.parametrize(
    ("column", "values", "reason", "wanted"),
    [
        ("call_rate", [0.93, 0.929, np.nan], "call_rate", [False, True, False]),
        ("mean_dp", [30.0, 29.9, np.nan], "mean_dp", [False, True, False]),
        ("mean_gq", [55.0, 54.9, np.nan], "mean_gq", [False, True, False]),
        ("charr", [0.02, 0.021, np.nan], "contamination", [False, True, False]),
        ("is_case", [0, None, 1], "status_unknown", [False, True, False]),
        ("imputed_sex", ["male", "female", None], "sex_mismatch", [False, True, False]),
        ("reported_sex", ["male", "female", None], "sex_mismatch", [False, True, False]),
    ],
)
def test_hard_failures__each_limit_and_missing_values(
    profile: Profile, column: str, values: list[object], reason: str, wanted: list[bool]
):
    failures = hard_failures(people(**{column: values}), profile.sample)
    assert failures[reason].tolist() == wanted
    assert not any(failed.any() for name, failed in failures.items() if name != reason)


def test_hard_failures__metrics_that_were_not_measured(profile: Profile):
    metrics = people(is_case=[1, 0]).drop(columns=["mean_dp", "mean_gq", "charr"])
    assert set(hard_failures(metrics, profile.sample)) == {"call_rate", "status_unknown", "sex_mismatch"}


def test_join_reasons__all_of_them_in_order():
    index = pd.Index([5, 3, 9])
    failures = {
        "depth": pd.Series([True, False, True], index=index),
        "sex": pd.Series([True, False, False], index=index),
    }
    assert join_reasons(failures, index).to_dict() == {5: "depth,sex", 3: "", 9: "depth"}


@pytest.mark.usefixtures("hail_session")
def test_measure_samples__equals_hail_on_the_dense_real_exome(shared_data: Path, profile: Profile):
    (path,) = (shared_data / "07_1kg_exome_gatk_1182").glob("*.vcf.gz")
    config = VcfConfig(vcf=[str(path)])
    raw = read_vcf(config, read_headers(config, "GRCh37"), "GRCh37")
    raw = raw.filter_cols(hl.int(raw.s[-2:]) < 10).annotate_rows(annotation=hl.missing("array<str>"))
    mt = key_by_minimal(split_alleles(raw)).checkpoint(hl.utils.new_temp_file("split", "mt"))
    failures = genotype_failures(mt, profile.genotype)
    sparse = sparse_cohort(mt, failures).checkpoint(hl.utils.new_temp_file("sparse", "mt"))
    found = measure_samples(sparse).set_index("sample_id")

    passing = mt.annotate_entries(GT=hl.or_missing(~hl.any(list(failures.values())), mt.GT))
    wanted = hl.sample_qc(passing).cols().to_pandas().set_index("s")
    assert len(found) == len(wanted) > 100
    wanted = wanted.loc[found.index]
    called = wanted["sample_qc.call_rate"].astype(float)
    assert 0.05 < called.mean() < 0.99, "the rules make some calls missing and leave others"
    assert np.allclose(found["call_rate"].astype(float), called)
    assert found["n_singleton"].tolist() == wanted["sample_qc.n_singleton"].tolist()
    for ratio in ("r_ti_tv", "r_het_hom_var"):
        first, second = (
            frame[name].astype(float) for frame, name in ((found, ratio), (wanted, f"sample_qc.{ratio}"))
        )
        assert np.allclose(first, second, equal_nan=True)
    assert found["charr"].dropna().between(0, 1).all()
