from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hail as hl
import numpy as np
import pandas as pd
import pytest

from contract.config import load_config
from etl.config import PROFILES
from etl.qc.person_sums import GRID, sum_calls, sum_over_people
from etl.qc.sample_metrics import measure_samples
from etl.qc.sex import impute_sex
from etl.thresholds import Profile
from tests.etl.cohort_rows import cohort_table, hail_matrix, variant, write_cohort

N_PEOPLE = 12
PEOPLE = [f"P{number:02d}" for number in range(N_PEOPLE)]


def sums_of(*variants: dict[str, Any], has_depth: bool = True) -> tuple[pd.DataFrame, dict[str, int]]:
    """Sums by person, and the totals, of one task."""
    table = cohort_table(*variants)
    n_people = len(variants[0]["calls"])
    sums = sum_calls(iter(table.to_batches()), n_people=n_people, has_depth=has_depth)
    return pd.DataFrame(sums.people), sums.totals


def test_sum_calls__alleles_calls_and_singletons():
    people, totals = sums_of(
        variant("chr1", 1, "0/1 1/1 0/0 ./.", ref="A", alt="G"),
        variant("chr1", 2, "0/1 0/0 0/0 fail", ref="A", alt="C"),
        variant("chr2", 3, "0/0 1 0/1 0/0", ref="A", alt="AT"),
        variant("chr2", 4, "0/0 0/0 0/0 1", ref="AT", alt="A"),
    )
    assert totals["n_sites"] == 4
    assert people["n_transition"].tolist() == [1, 2, 0, 0]
    assert people["n_transversion"].tolist() == [1, 0, 0, 0]
    assert people["n_insertion"].tolist() == [0, 1, 1, 0]
    assert people["n_deletion"].tolist() == [0, 0, 0, 1]
    assert people["n_het"].tolist() == [2, 0, 1, 0]
    assert people["n_hom_var"].tolist() == [0, 2, 0, 1]
    assert people["n_missing"].tolist() == [0, 0, 0, 2]
    assert people["n_singleton"].tolist() == [1, 0, 0, 1]


def test_sum_calls__charr_by_hand():
    # The reference allele's frequency is 1/4: two of four people are homozygous alternate, one is het.
    people, _ = sums_of(variant("chr1", 1, "1/1:1,19:20:99 1/1:2,98:100:20 0/1 0/0"))
    reference = 1 - 5 / 8
    wanted = [0.05 / reference, 0.02 / reference, 0, 0]
    assert (people["charr"] / GRID).tolist() == pytest.approx(wanted)
    assert people["n_charr"].tolist() == [1, 1, 0, 0]


@pytest.mark.parametrize(
    "call",
    ["1/1:1,8:9:99", "1/1:1,100:101:99", "1/1:1,19:20:19", "1/1:1,19:.:99", "1/1:0,0:20:99", "1/1:.:20:99"],
)
def test_sum_calls__charr_leaves_calls_out(call: str):
    people, _ = sums_of(variant("chr1", 1, f"{call} 0/1 0/0 0/0"))
    assert people["n_charr"].tolist() == [0, 0, 0, 0]


def test_sum_calls__charr_takes_reads_for_depth_in_files_without():
    people, _ = sums_of(variant("chr1", 1, "1/1:1,19:.:99 0/0"), has_depth=False)
    assert people["n_charr"].tolist() == [1, 0]


def test_sum_calls__expected_homozygosity_on_x():
    # Frequencies 1/2 (haploid alternate counts as two), 1/4; rare and monomorphic sites don't count.
    people, totals = sums_of(
        variant("chrX", 5_000_000, "1 0/1 0/1 0"),
        variant("chrX", 6_000_000, "./. 0/1 0/0 fail"),
        variant("chrX", 7_000_000, "0 0/0 0/0 0"),
    )
    assert totals["n_sites"] == 0
    assert totals["x_sites"] == 2
    assert totals["x_expected"] / GRID == pytest.approx(0.5 + 0.625)
    assert people["x_het"].tolist() == [0, 2, 1, 0]
    assert people["x_missing"].tolist() == [1, 0, 0, 1]
    assert (people["x_expected_missing"] / GRID).tolist() == pytest.approx([0.625, 0, 0, 0.625])


def random_calls(rng: np.random.Generator, n: int) -> Iterator[dict[str, Any]]:
    """Variants of all kinds on chromosome 1 and X, with reads, missing and haploid calls."""
    alleles = [
        ("A", "G"),
        ("C", "T"),
        ("A", "C"),
        ("AT", "AG"),
        ("A", "AGG"),
        ("ACT", "A"),
        ("TA", "A"),
        ("AT", "GC"),
    ]
    for number in range(n):
        common = rng.uniform(0.1, 0.9)
        weights = np.array([(1 - common) ** 2, 2 * common * (1 - common), common**2, 0.1, 0.05, 0.05, 0.05])
        kinds = rng.choice(
            ["0/0", "0/1", "1/1", "./.", "fail", "0", "1"], N_PEOPLE, p=weights / weights.sum()
        )
        reads = rng.integers(0, 60, (N_PEOPLE, 2))
        calls = [
            f"{kind}:{ref},{alt + 1}:{ref + alt + 1}:{rng.integers(0, 60)}"
            for kind, (ref, alt) in zip(kinds, reads, strict=True)
        ]
        if number % 7 == 0:
            calls = ["0/0"] * (N_PEOPLE - 1) + [["0/1", "1"][number % 2]]
        contig, position = ("chr1", 1000 + number) if number % 3 else ("chrX", 5_000_000 + number)
        yield variant(contig, position, " ".join(calls), *alleles[number % len(alleles)])


@pytest.fixture(scope="module")
def variants() -> list[dict[str, Any]]:
    return list(random_calls(np.random.default_rng(5), 300))


@pytest.mark.usefixtures("hail_session")
def test_sum_over_people__equals_hail(variants: list[dict[str, Any]], tmp_path: Path):
    profile = load_config(Profile, PROFILES / "bipex.yaml")
    cohort = write_cohort(cohort_table(*variants), tmp_path / "cohort", parts=3)
    measured = sum_over_people(cohort, N_PEOPLE, has_depth=True)
    found = pd.concat([measure_samples(measured), impute_sex(measured, profile.sample)], axis=1)

    mt = hail_matrix(*variants, people=PEOPLE).checkpoint(hl.utils.new_temp_file("dense", "mt"))
    autosomes = mt.filter_rows(mt.locus.in_autosome())
    wanted = hl.sample_qc(autosomes).cols().flatten().to_pandas()
    for name in ("call_rate", "n_singleton", "n_snp", "r_ti_tv", "r_het_hom_var", "r_insertion_deletion"):
        assert np.allclose(found[name], wanted[f"sample_qc.{name}"].astype(float)), name
    assert wanted["sample_qc.n_singleton"].sum() > 10

    doubled = hl.if_else(mt.GT.ploidy == 1, hl.call(mt.GT[0], mt.GT[0]), mt.GT)
    mt = mt.annotate_entries(doubled=doubled)
    counts = hl.agg.call_stats(mt.doubled, mt.alleles)
    mt = mt.annotate_rows(frequency=counts.AF[1]).checkpoint(hl.utils.new_temp_file("counted", "mt"))
    charr = hl.compute_charr(mt, ref_AF=1 - mt.frequency).to_pandas()
    assert np.allclose(found["charr"], charr["charr"].astype(float))
    common = mt.filter_rows((mt.frequency >= 0.05) & (mt.frequency <= 0.95))
    sexes = hl.impute_sex(common.doubled).to_pandas()
    assert np.allclose(found["f_x"], sexes["f_stat"].astype(float))
    assert found["n_sites_on_x"].tolist() == sexes["n_called"].tolist()


@pytest.mark.usefixtures("hail_session")
def test_sum_over_people__any_number_of_files(variants: list[dict[str, Any]], tmp_path: Path):
    table = cohort_table(*variants)
    one, many = (
        sum_over_people(write_cohort(table, tmp_path / str(parts), parts), N_PEOPLE, has_depth=True)
        for parts in (1, 7)
    )
    assert one.people.equals(many.people)
    assert one.totals == many.totals


@pytest.mark.usefixtures("hail_session")
def test_sum_over_people__good_sites_of_autosomes_and_x_only(tmp_path: Path):
    rows = cohort_table(
        variant("chr1", 1, "0/1 0/0"),
        variant("chr1", 2, "0/1 0/0", site_reasons=["filter_not_pass"]),
        variant("chrX", 20_000, "0/1 0/0"),
        variant("chrY", 5_000_000, "0 1"),
        variant("chrM", 5, "0 1"),
    )
    measured = sum_over_people(write_cohort(rows, tmp_path / "cohort"), 2, has_depth=True)
    assert measured.people["n_het"].tolist() == [1, 0]
    assert measured.people["n_hom_var"].tolist() == [0, 0]
    assert measured.totals == {
        "n_sites": 1, "a_sites": 1, "a_expected": GRID * 5 // 8, "x_sites": 0, "x_expected": 0,
    }  # fmt: skip
