"""Sealed people run again as new ones: by the first cohort's definitions they are who they were."""

import gzip
import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from contract.config import build_config
from contract.dataset import read_samples, verify
from contract.errors import InputError
from contract.manifest import Manifest, read_manifest
from contract.people_tables import read_people_qc
from contract.reference import Reference, VariantFile, write_reference
from etl.check import check
from etl.config import EtlConfig
from etl.pipeline import plan, run
from tests.etl.mini import write_bgzip
from tests.etl.study import Study, choose_people

QUIET = Console(quiet=True)


def sealed(study: Study) -> pd.DataFrame:
    root = str(study.out / "dataset")
    manifest = read_manifest(root)
    return read_samples(root, manifest, [manifest.test_fold]).set_index("sample_id")


def write_calls(study: Study, folder: Path, ids: list[str], *, change: tuple[str, str] = ("", "")) -> str:
    folder.mkdir(parents=True)
    for path in study.cohort.glob("calls.*.vcf.bgz"):
        text = choose_people(gzip.decompress(path.read_bytes()).decode(), {name: name for name in ids})
        write_bgzip(folder / path.name, text.replace(*change) if change[0] else text)
    return str(folder / "calls.*.vcf.bgz")


def config_like(study: Study, folder: Path, ids: list[str], **changes: object) -> EtlConfig:
    change = changes.pop("change", ("", ""))
    settings: dict[str, object] = {
        "out": str(folder / "out"),
        "like": str(study.out / "dataset"),
        "input": {"vcf": write_calls(study, folder / "calls", ids, change=change)},
    }
    return build_config(EtlConfig, settings | changes, "test")


def described(study: Study, folder: Path, ids: list[str], **changes: object) -> tuple[pd.DataFrame, Manifest]:
    config = config_like(study, folder, ids, **changes)
    assert check(config) == []
    run(config, console=QUIET)
    manifest = read_manifest(config.dataset)
    verify(config.dataset, manifest)
    found = read_samples(config.dataset, manifest, [manifest.test_fold]).set_index("sample_id")
    return found, manifest


def check_same(found: pd.DataFrame, wanted: pd.DataFrame) -> None:
    for name in found.index:
        new, own = found.loc[name], wanted.loc[name]
        assert new["indices"].tolist() == own["indices"].tolist()
        assert new["values"].tolist() == own["values"].tolist()
        np.testing.assert_allclose(new["covariates"], own["covariates"], atol=1e-5)
        assert (new["sex"], new["ancestry"]) == (own["sex"], own["ancestry"])


def test_run__one_sealed_person_has_the_features_of_the_dataset(finished: Study, tmp_path: Path):
    wanted = sealed(finished)
    carrier = wanted["indices"].map(len).idxmax()
    found, manifest = described(finished, tmp_path, [carrier])
    assert found.index.tolist() == [carrier]
    check_same(found, wanted)
    first = read_manifest(str(finished.out / "dataset"))
    assert (manifest.n_samples, manifest.like) == (1, first.reference)
    assert manifest.channels == first.channels
    assert manifest.covariates == first.covariates
    assert "not judged" in manifest.fitted_on["variant quality control"]
    assert found["is_case"].isna().all()


def test_run__several_sealed_people_have_the_features_of_the_dataset(finished: Study, tmp_path: Path):
    wanted = sealed(finished)
    found, manifest = described(finished, tmp_path, wanted.index.tolist())
    assert sorted(found.index) == sorted(wanted.index)
    check_same(found, wanted)
    assert found["indices"].map(len).sum() > 20
    metrics = read_people_qc(str(tmp_path / "out/dataset"), manifest)
    assert metrics is not None
    assert metrics["marker_call_rate"].between(0.9, 1).all()
    assert {step.step.name for step in plan(config_again(finished, tmp_path))} == {
        *("ingest", "sample_metrics", "ancestry", "variant_qc", "annotation"),
        *("masks", "aggregation", "dataset"),
    }
    assert all(step.done for step in plan(config_again(finished, tmp_path)))


EVERY_RULE = [
    {"name": "common", "classes": ["any"], "min_frequency": 0.01},
    {"name": "weighted", "classes": ["any"], "weight": "beta"},
    {"name": "recessive", "classes": ["any"], "coding": "recessive", "weight": "beta"},
    {"name": "counted", "classes": ["any"], "max_allele_count": 3},
    {"name": "uncalled", "classes": ["any"], "coding": "missing"},
]
"""Masks whose features depend on exact frequencies: weights, and expected values of missing calls; and on
which calls are missing."""


def test_run__weights_and_expected_values_are_exact(finished: Study, tmp_path: Path):
    first = Study(finished.cohort, tmp_path / "first", finished.truth)
    shutil.copytree(finished.out, first.out)
    run(first.config(masks={"masks": EVERY_RULE}), console=QUIET)
    wanted = sealed(first)
    found, _ = described(first, tmp_path, wanted.index[:6].tolist())
    check_same(found, wanted)
    values = np.concatenate(found["values"].tolist())
    assert (values % 1 != 0).sum() > 20, "of weights and of missing calls"
    place, n_genes = len(EVERY_RULE) - 1, read_manifest(str(first.out / "dataset")).n_genes
    uncalled = np.concatenate(found["indices"].tolist()) // n_genes == place
    assert uncalled.sum() > 5
    assert (values[uncalled] % 1 == 0).all()


def config_again(study: Study, folder: Path) -> EtlConfig:
    calls = str(folder / "calls/calls.*.vcf.bgz")
    settings = {"out": str(folder / "out"), "like": str(study.out / "dataset"), "input": {"vcf": calls}}
    return build_config(EtlConfig, settings, "test")


def test_run__variants_that_nobody_carried_count_by_their_annotation(finished: Study, tmp_path: Path):
    wanted = sealed(finished)
    carrier = wanted["indices"].map(len).idxmax()
    unseen, _ = described(finished, tmp_path / "all", [carrier], like=forgetful(finished, tmp_path))
    check_same(unseen, wanted)
    absent, manifest = described(
        finished,
        tmp_path / "none",
        [carrier],
        like=str(tmp_path / "dataset"),
        unseen_variants="absent",
    )
    assert len(absent["indices"].iloc[0]) < len(wanted.loc[carrier, "indices"])
    assert manifest.counts["variants_unseen"] > 0


def forgetful(study: Study, folder: Path) -> str:
    """The dataset as if nobody of it carried its rare variants: the same features follow by annotation."""
    root = folder / "dataset"
    shutil.copytree(study.out / "dataset", root)
    reference = Reference.model_validate_json((root / "reference/reference.json").read_text())
    files = []
    for file in reference.variants:
        path = root / "reference" / file.path
        rows = pq.read_table(path)
        rows = rows.filter(pc.or_(pc.invert(rows["passes"]), rows["allele_count"].is_valid()))
        pq.write_table(rows, path)
        if rows.num_rows:
            changed = {"rows": rows.num_rows, "bytes": path.stat().st_size}
            files.append(VariantFile(**file.model_dump() | changed))
    digest = write_reference(str(root / "reference"), reference.model_copy(update={"variants": files}))
    manifest = json.loads((root / "manifest.json").read_text())
    (root / "manifest.json").write_text(json.dumps(manifest | {"reference": digest}))
    return str(root)


def test_reference__holds_no_counts_of_fewer_than_five_and_no_people(finished: Study):
    folder = finished.out / "dataset/reference"
    variants = pd.concat(map(pd.read_parquet, (folder / "variants").glob("*.parquet")), ignore_index=True)
    counted = variants["allele_count"].dropna()
    assert len(counted)
    assert ((counted == 0) | (counted >= 5)).all()
    assert variants["allele_count"].isna().any()
    assert variants["site_alleles"].dropna().min() >= 10
    assert {path.name for path in folder.iterdir()} == {
        *("reference.json", "genes.parquet", "genes.tsv", "loadings.parquet", "variants")
    }
    loadings = pd.read_parquet(folder / "loadings.parquet")
    assert list(loadings.columns) == ["contig", "position", "ref", "alt", "mean", "pc1"]
    text = (folder / "reference.json").read_text()
    assert not any(name in text for name in sealed(finished).index)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"reference": "GRCh38"}, "configuration: reference: found GRCh38, wanted GRCh37 as in"),
        ({"genotype_qc": "skip"}, "configuration: genotype_qc: found skip, wanted apply as in"),
        ({"profile": "gnomad-v4"}, "configuration: profile: found gnomad-v4, wanted bipex as in"),
        ({"thresholds": {"genotype": {"min_dp": 3}}}, "configuration: thresholds: found"),
        ({"masks": {"preset": "genebass"}}, "configuration: masks: found"),
        ({"like": "/no/such/dataset"}, "like: found neither manifest.json nor bundle.json"),
    ],
)
def test_config_like__another_definition_is_refused(
    finished: Study, tmp_path: Path, changes: dict[str, object], message: str
):
    with pytest.raises(InputError, match=message):
        config_like(finished, tmp_path, [sealed(finished).index[0]], **changes)


def test_config_like__a_dataset_made_before_there_were_references(finished: Study, tmp_path: Path):
    old = shutil.copytree(finished.out / "dataset", tmp_path / "old")
    manifest = json.loads((old / "manifest.json").read_text())
    del manifest["reference"]
    (old / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(InputError, match="reference: found no such folder, wanted a dataset that"):
        config_like(finished, tmp_path, [sealed(finished).index[0]], like=str(old))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("PL", "XX"), r"FORMAT: found .*wanted also PL"),
        (("##INFO=<ID=CSQ", "##INFO=<ID=OTHER"), r"INFO CSQ: found no such .*or unseen_variants: absent"),
    ],
)
def test_check_like__calls_that_lack_what_the_first_cohort_used(
    finished: Study, tmp_path: Path, change: tuple[str, str], message: str
):
    config = config_like(finished, tmp_path, [sealed(finished).index[0]], change=change)
    with pytest.raises(InputError, match=message):
        raise InputError(check(config))


def test_check_like__a_file_of_the_reference_is_gone(finished: Study, tmp_path: Path):
    copy = shutil.copytree(finished.out / "dataset", tmp_path / "copy")
    next((copy / "reference/variants").glob("*.parquet")).unlink()
    config = config_like(finished, tmp_path, [sealed(finished).index[0]], like=str(copy))
    with pytest.raises(InputError, match=r"variants/.*: found no such file, wanted \d+ bytes"):
        raise InputError(check(config))


def test_check_like__another_build(finished: Study, tmp_path: Path):
    change = ("##contig=<ID=1,length=249250621", "##contig=<ID=1,length=248956422")
    config = config_like(finished, tmp_path, [sealed(finished).index[0]], change=change)
    assert any("GRCh3" in text for text in check(config))
