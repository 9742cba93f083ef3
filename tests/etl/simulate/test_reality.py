"""What real files hold: men with one X, records off target, likelihoods in part."""

import gzip
from pathlib import Path

import pandas as pd
import pytest

from etl.simulate import simulate
from etl.simulate.reference import PSEUDO_AUTOSOMAL_X

SETTINGS = {
    "genes": {
        "count": 40,
        "coding_length_median": 2700,
        "backbone_markers": 60,
        "off_target_markers": 30,
        "y_markers": 8,
    },
    "variant_defects": {"failed_filter": 0.05, "switched_off": ["batch_artefact"], "in_causal_genes": True},
}


@pytest.fixture(scope="module", params=["haploid", "half_call"])
def written(request: pytest.FixtureRequest, config_with, tmp_path_factory: pytest.TempPathFactory):
    out = tmp_path_factory.mktemp(request.param)
    sequencing = {"men_on_x": request.param, "partial_pl_share": 1.0}
    truth = simulate(config_with(out, **SETTINGS, sequencing=sequencing))
    with gzip.open(out / "cohort.vcf.bgz", "rt") as stream:
        rows = [line.rstrip("\n").split("\t") for line in stream if not line.startswith("##")]
    calls = pd.DataFrame(rows[1:], columns=rows[0])
    female = [person.sex == "female" for person in truth.people]
    return request.param, out, truth, calls, female


def entries(calls: pd.DataFrame, chosen: list[bool]) -> set[str]:
    columns = [name for name, kept in zip(calls.columns[9:], chosen, strict=True) if kept]
    return {entry.split(":")[0] for name in columns for entry in calls[name]}


def test_simulate__men_have_one_x_and_women_two(written):
    form, _, _, calls, female = written
    position = calls["POS"].astype(int)
    inside = [
        any(first <= place <= last for first, last in PSEUDO_AUTOSOMAL_X["GRCh38"]) for place in position
    ]
    on_x = calls[(calls["#CHROM"] == "chrX") & ~pd.Series(inside)]
    assert len(on_x) > 10
    men = entries(on_x, [not value for value in female])
    allowed = {"haploid": {"0", "1", "2", "."}, "half_call": {"0/.", "1/.", "2/.", "./."}}[form]
    assert men <= allowed
    assert len(men) >= 3
    assert all("/" in genotype for genotype in entries(on_x, female))


def test_simulate__women_have_no_reads_on_y(written):
    _, _, _, calls, female = written
    on_y = calls[calls["#CHROM"] == "chrY"]
    assert len(on_y) > 2
    assert entries(on_y, female) == {"./."}


def test_simulate__multi_allelic_records_lack_part_of_their_likelihoods(written):
    _, _, _, calls, _ = written
    several = calls[calls["ALT"].str.contains(",") & ~calls["#CHROM"].isin(["chrX", "chrY"])]
    assert len(several) > 5
    told = [entry.split(":")[4].split(",") for name in calls.columns[9:] for entry in several[name]]
    assert all(pl[3:] == ["."] * (len(pl) - 3) and "." not in pl[:3] for pl in told if pl != ["."])


def test_simulate__off_target_records_lie_outside_the_intervals(written):
    _, out, truth, _, _ = written
    targets = pd.read_csv(Path(out) / "targets.bed", sep="\t", names=["contig", "start", "end"])
    outside = [item for item in truth.bad_variants if item.kind == "off_target"]
    assert len(outside) > 10
    for item in outside:
        near = targets[targets["contig"] == item.contig]
        assert not ((near["start"] < item.position) & (item.position <= near["end"])).any()


def test_simulate__a_kind_that_is_switched_off(written):
    _, _, truth, _, _ = written
    kinds = {item.kind for item in truth.bad_variants}
    assert "failed_filter" in kinds
    assert "batch_artefact" not in kinds
    assert 0.4 < truth.batch_auroc < 0.75
    assert "sequenced" in truth.oracle_knows
