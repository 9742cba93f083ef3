"""The seal, proven on the real pipeline: what the sealed people are, and are not, looked at for."""

import gzip
import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.dataset as ds
import pytest
from rich.console import Console

from contract.manifest import Manifest, read_manifest
from etl.pipeline import run
from tests.etl.mini import write_bgzip
from tests.etl.study import Study, choose_people

TEST_FOLD = 0
LISTED = {
    "people's metrics, sex, contamination",
    "markers and kinship",
    "folds",
    "variants without carriers",
}
"""What the manifest says to look at everybody, the sealed people included."""

LIMITS = [
    {"frequency": "minor", "max_frequency": 0.05},
    {"frequency": "minor", "max_allele_count": 5, "x_coding": "haploid"},
    {"frequency": "minor", "weight": "madsen_browning"},
    {"max_frequency": 0.05, "weight": "beta", "combine": "max"},
    {"max_frequency": 0.05, "combine": "comphet"},
    {"frequency": "minor", "combine": "two_hits"},
    {"max_frequency": 0.05, "collapse_allele_count": 3},
]
MASKS = [
    *({"name": name, "classes": [name], "max_frequency": 0.01} for name in ("plof", "synonymous")),
    *({"name": f"any_{place}", "classes": ["any"], **limits} for place, limits in enumerate(LIMITS)),
]
"""Every rule that looks at frequencies or combines variants."""


def run_with(study: Study, folder: Path, samples: pd.DataFrame, calls: Path, **changes: object) -> Study:
    """The ETL on another samples table, whose column `fold` names the folds."""
    folder.mkdir(parents=True, exist_ok=True)
    samples.to_csv(folder / "samples.tsv", sep="\t", index=False)
    changed = Study(study.cohort, folder / "out", study.truth)
    settings = {
        "samples__path": folder / "samples.tsv",
        "samples__fold": "fold",
        "input__vcf": calls / "calls.*.vcf.bgz",
        "covariates": "[is_female, ancestry_pcs, age]",
        "masks__preset": "null",
        "masks__masks": json.dumps(MASKS),
        **changes,
    }
    config = changed.config(**settings)
    run(config, console=Console(quiet=True))
    return changed


@pytest.fixture(scope="module")
def samples(finished: Study) -> pd.DataFrame:
    """The samples table with ages and the folds of the finished run; who was dropped there is anywhere."""
    table = pd.read_csv(finished.cohort / "samples.tsv", sep="\t", dtype=str, keep_default_na=False)
    people = pd.read_parquet(finished.out / "steps/03_relatedness/people.parquet").set_index("sample_id")
    table["fold"] = people["fold"].reindex(table["sample_id"]).fillna(TEST_FOLD + 1).astype(int).to_numpy()
    table["age"] = np.random.default_rng(1).integers(20, 80, len(table)).astype(str)
    table.loc[table.index % 9 == 0, "age"] = "NA"
    return table


@pytest.fixture(scope="module")
def base(finished: Study, samples: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Study:
    folder = tmp_path_factory.mktemp("base")
    shutil.copytree(finished.out, folder / "out")
    return run_with(finished, folder, samples, finished.cohort)


@pytest.fixture(scope="module")
def flipped(
    finished: Study, base: Study, samples: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory
) -> Study:
    """The same, every sealed person of the other status."""
    folder = tmp_path_factory.mktemp("flipped")
    shutil.copytree(base.out, folder / "out")
    other = samples["status"].map({"case": "control", "control": "case"})
    return run_with(
        finished,
        folder,
        samples.assign(status=samples["status"].where(samples["fold"] != TEST_FOLD, other)),
        finished.cohort,
    )


@pytest.fixture(scope="module")
def removed(
    finished: Study, base: Study, samples: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory
) -> Study:
    """The same, without the sealed people in the calls and in the table; the others' kinship is kept."""
    folder = tmp_path_factory.mktemp("removed")
    kept = samples[samples["fold"] != TEST_FOLD]
    for path in finished.cohort.glob("calls.*.vcf.bgz"):
        text = gzip.decompress(path.read_bytes()).decode()
        write_bgzip(folder / path.name, choose_people(text, {name: name for name in kept["sample_id"]}))
    pairs = pd.read_parquet(base.out / "steps/03_relatedness/kinship.parquet")
    pairs = pairs[pairs["first"].isin(kept["sample_id"]) & pairs["second"].isin(kept["sample_id"])]
    pairs = pairs.rename(columns={"first": "ID1", "second": "ID2", "kinship": "KINSHIP"})
    pairs[["ID1", "ID2", "KINSHIP"]].to_csv(folder / "pairs.kin0", sep="\t", index=False)
    return run_with(finished, folder, kept, folder, kinship__table=folder / "pairs.kin0")


def manifest(study: Study) -> Manifest:
    return read_manifest(str(study.out / "dataset"))


def people(study: Study) -> pd.DataFrame:
    rows = ds.dataset(study.out / "dataset/samples", partitioning="hive").to_table().to_pandas()
    return rows.set_index("sample_id").sort_index()


def variants(study: Study, but: tuple[str, ...] = ()) -> pd.DataFrame:
    rows = ds.dataset(study.out / "steps/05_variant_qc/variants.parquet").to_table().to_pandas()
    return rows.sort_values("variant", ignore_index=True).drop(columns=[*but])


def reasons(study: Study) -> pd.Series:
    metrics = pd.read_parquet(study.out / "steps/02_sample_metrics/metrics.parquet").set_index("sample_id")
    found = metrics["reasons"].copy()
    later = pd.read_parquet(study.out / "steps/04_ancestry/components.parquet").set_index("sample_id")
    found.loc[later.index] = later["reasons"]
    return found.sort_index()


def associations(study: Study) -> pd.DataFrame:
    return pd.read_parquet(study.out / "associations.parquet")


def features(rows: pd.DataFrame) -> list[tuple[tuple[int, ...], tuple[float, ...]]]:
    return [
        (tuple(indices), tuple(values))
        for indices, values in zip(rows["indices"], rows["values"], strict=True)
    ]


def test_seal__labels_of_sealed_people_change_nothing_else(base: Study, flipped: Study):
    before, after = people(base), people(flipped)
    sealed = before["fold"] == TEST_FOLD
    assert sealed.sum() > 10
    assert (before["is_case"] != after["is_case"]).tolist() == sealed.tolist()
    for name in before.columns.drop("is_case"):
        assert list(map(str, before[name])) == list(map(str, after[name])), name
    assert variants(base).equals(variants(flipped))
    assert (base.out / "dataset/stats.parquet").read_bytes() == (
        flipped.out / "dataset/stats.parquet"
    ).read_bytes()
    assert reasons(base).equals(reasons(flipped))
    first, second = manifest(base), manifest(flipped)
    assert first.fitted_on == second.fitted_on
    assert first.qc_profile == second.qc_profile
    assert first.covariate_columns == second.covariate_columns
    assert associations(base).equals(associations(flipped))
    assert associations(base)["p"].notna().sum() > 10
    assert [entry for entry in first.ledger if entry.unit == "variants"] == [
        entry for entry in second.ledger if entry.unit == "variants"
    ]


def test_seal__the_report_does_not_show_labels_of_sealed_people(base: Study, flipped: Study):
    reports = []
    for study in (base, flipped):
        text = (study.out / "qc_report.html").read_text().replace(str(study.out.parent), "")
        for digest in manifest(study).digests.values():
            text = text.replace(digest, "")
        reports.append(text)
    differ = [
        pair for pair in zip(*(text.split("\n") for text in reports), strict=True) if pair[0] != pair[1]
    ]
    assert not differ, [(first[:300], second[:300]) for first, second in differ[:3]]


def test_seal__labels_of_other_people_do_change_results(base: Study):
    # The comparison above could not fail if variants did not follow labels at all.
    found = variants(base)
    assert not found["call_rate_cases"].equals(found["call_rate_controls"])


def test_seal__removed_people_change_only_what_the_manifest_lists(base: Study, removed: Study):
    assert set(manifest(base).fitted_on) >= LISTED
    whole, rest = people(base), people(removed)
    others = whole[whole["fold"] != TEST_FOLD]
    assert others.index.tolist() == rest.index.tolist()
    channels = {index // manifest(base).n_genes for row in others["indices"] for index in row}
    assert channels == set(range(len(MASKS)))
    assert features(others) == features(rest)
    for name in ("is_case", "sex", "batch", "ancestry", "fold"):
        assert others[name].tolist() == rest[name].tolist(), name
    # Who carries a variant at all is asked of everybody, which may only make it monomorphic.
    seen = ("n_carriers", "reasons", "passes")
    assert variants(base, seen).equals(variants(removed, seen))
    lost = variants(base)["passes"] & ~variants(removed)["passes"]
    assert set(variants(removed)["reasons"][lost].map(tuple)) <= {("monomorphic",)}
    assert reasons(base).loc[reasons(removed).index].equals(reasons(removed))
    means = [manifest(study).covariate_columns["age"].mean for study in (base, removed)]
    assert means[0] == pytest.approx(means[1], rel=1e-12)
    counts = ["gene_id", "channel", "carriers_cases", "carriers_controls", "burden"]
    assert associations(base)[counts].equals(associations(removed)[counts])


def test_seal__components_are_those_of_the_people_outside(base: Study, removed: Study):
    def scores(study: Study) -> pd.DataFrame:
        rows = pd.read_parquet(study.out / "steps/04_ancestry/components.parquet").set_index("sample_id")
        return rows.loc[rows["fold"] != TEST_FOLD, ["pc1"]].sort_index()

    # Markers are chosen by everybody: the manifest lists it. The leading component is the same for all that.
    first, second = scores(base)["pc1"], scores(removed)["pc1"]
    assert abs(np.corrcoef(first, second)[0, 1]) > 0.98
