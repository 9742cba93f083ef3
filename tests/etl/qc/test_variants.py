from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds
import pytest

pytest.importorskip("hail")
import hail as hl
from scipy.stats import chi2

from contract.config import load_config
from etl.cohort.passes import Parts, rewrite_parts
from etl.cohort.people import kept_people
from etl.config import PROFILES
from etl.qc.exact import hardy_weinberg_p
from etl.qc.variant_counts import (
    COUNTED_SCHEMA,
    READ_COLUMNS,
    count_batch,
    count_variants,
    make_strata,
)
from etl.qc.variant_table import passing_variants
from etl.qc.variants import (
    N_BINS,
    VARIANT_SCHEMA,
    VariantTotals,
    flag_variants,
    inbreeding,
    variant_failures,
)
from etl.thresholds import Profile
from tests.etl.cohort_rows import cohort_table, hail_matrix, variant, write_cohort

PEOPLE = pd.DataFrame(
    {
        "sample_id": [f"P{number}" for number in range(8)],
        "sample_index": range(8),
        "is_case": [1, 1, 1, 0, 0, 0, 0, 0],
        "sex": ["female", "male", "male", "female", "male", "female", "female", "male"],
        "ancestry": "group1",
        "batch": ["w1", "w2", "w1", "w1", "w2", "w2", "w1", "w2"],
        "training": [True, True, True, True, True, True, False, False],
    }
)
VARIANTS = [  # of P0 … P7; P6 and P7 are in the test fold
    variant("chr1", 1000, "0/1 ./. 0/0 0/1 1/1 0/0 1/1 0/1"),
    variant("chr1", 2000, "0/0 0/0 0/0 0/0 0/0 0/0 0/0 0/0", site_reasons=["filter_not_pass"]),
    variant("chr1", 3000, "0/0 0/0 0/0 0/1 0/1 0/1 0/0 0/0"),
    variant("chrX", 5000000, "0/1 1/1 0/1 0/1 0/0 1/1 0/0 1"),  # P2: a man's heterozygote
    variant("chrX", 6000000, "1 0 0 0/0 0 0/0 0/0 0"),  # P0: a woman's haploid call
    variant("chrY", 7000000, "0/1 1 0 0/0 fail 0/0 0/0 0"),  # P0: a woman's call on Y
    variant("chr1", 4000, "0/0 fail 0/0 0/0 0/0 fail 0/0 0/1"),
]


def everybody(n: int) -> pd.DataFrame:
    return pd.DataFrame({"person": range(n), "sample_id": [f"P{number}" for number in range(n)]})


def counted(people: pd.DataFrame = PEOPLE, variants: list[dict[str, Any]] = VARIANTS) -> pa.RecordBatch:
    batch = cohort_table(*variants).combine_chunks().to_batches()[0]
    n_people = len(variants[0]["calls"])
    return count_batch(batch, kept_people(everybody(n_people), people), make_strata(people))


def by_position(people: pd.DataFrame = PEOPLE) -> dict[int, dict[str, Any]]:
    return {row["position"]: row for row in counted(people).to_pylist()}


def measured(
    folder: Path, people: pd.DataFrame, variants: list[dict[str, Any]], parts: int = 1
) -> tuple[dict[int, dict[str, Any]], list[VariantTotals]]:
    """The whole way through Spark and Hail: rows by position, and the totals of the parts."""
    cohort = write_cohort(cohort_table(*variants), folder / "cohort", parts)
    kept, strata = kept_people(everybody(len(variants[0]["calls"])), people), make_strata(people)
    counted, out = f"{folder}/counted", f"{folder}/variants"
    genotypes = rewrite_parts(
        Parts(cohort, READ_COLUMNS),
        counted,
        COUNTED_SCHEMA,
        partial(count_variants, people=kept, strata=strata),
    )
    exact_p = hardy_weinberg_p(np.unique(np.concatenate(genotypes), axis=0))
    limits = load_config(Profile, PROFILES / "bipex.yaml").variant
    flag = partial(flag_variants, exact_p=exact_p, thresholds=limits)
    totals = rewrite_parts(Parts(counted, COUNTED_SCHEMA.names), out, VARIANT_SCHEMA, flag)
    rows = ds.dataset(out).to_table().to_pylist()
    return {row["position"]: row for row in rows}, totals


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, hail_session: None) -> Path:
    """A folder with the variants above, in two parts."""
    return tmp_path_factory.mktemp("variants")


@pytest.fixture(scope="module")
def told(run: Path) -> tuple[dict[int, dict[str, Any]], list[VariantTotals]]:
    return measured(run, PEOPLE, VARIANTS, parts=2)


def test_count_batch__by_hand():
    row = by_position()[1000]
    assert row["call_rate"] == pytest.approx(5 / 6)
    assert row["call_rate_cases"] == pytest.approx(2 / 3)
    assert row["call_rate_controls"] == 1
    assert row["n_carriers"] == 5  # P0 P3 P4 P6 P7
    assert (row["allele_count"], row["allele_number"]) == (4, 10)  # P0 1, P3 1, P4 2 of five called
    assert (row["hom_ref"], row["het"], row["hom_var"]) == ([1], [1], [1])  # P5, P3, P4
    # Controls: P3 of w1 with one alternate allele of two, P4 and P5 of w2 with two of four: no difference.
    assert row["batch_p"] == pytest.approx(chi2.sf(0.5**2 / (3 * 3 * 2 * 4 / (6**3 - 6**2)), 1))


def test_count_batch__nobody_carries_it():
    row = by_position()[2000]
    assert (row["n_carriers"], row["allele_count"], row["allele_number"], row["call_rate"]) == (0, 0, 12, 1)
    assert row["batch_p"] is None


def test_count_batch__failed_calls_are_missing():
    row = by_position()[4000]
    assert row["call_rate"] == pytest.approx(4 / 6)
    assert row["call_rate_controls"] == pytest.approx(2 / 3)
    assert (row["n_carriers"], row["allele_count"], row["allele_number"]) == (1, 0, 8)


def test_count_batch__men_on_x_are_haploid():
    row = by_position()[5000000]
    assert row["call_rate"] == pytest.approx(5 / 6), "a man's heterozygous call is none"
    # Training: P0 1 of 2, P1 1 of 1, P2 not called, P3 1 of 2, P4 0 of 1, P5 2 of 2.
    assert (row["allele_count"], row["allele_number"]) == (5, 8)
    assert row["n_carriers"] == 5
    assert (row["hom_ref"], row["het"], row["hom_var"]) == ([0], [1], [1])  # P3, P5: the women
    # Controls' alleles: P3 of w1 1 of 2; of w2 P4, a man, 0 of 1, and P5 2 of 2.
    assert row["batch_p"] == pytest.approx(chi2.sf((0.2 - 0.5) ** 2 / (3 * 2 * 2 * 3 / (5**3 - 5**2)), 1))


def test_count_batch__calls_that_a_woman_cannot_have_are_none():
    for position, n_carriers, call_rate in ((6000000, 0, 5 / 6), (7000000, 1, 2 / 3)):
        row = by_position()[position]
        assert row["call_rate"] == pytest.approx(call_rate), "on Y that of men"
        assert row["n_carriers"] == n_carriers
    assert by_position()[7000000]["het"] == [], "no test of equilibrium on Y"


def test_count_batch__frequencies_on_y_are_those_of_men():
    row = by_position()[7000000]
    # Training: of the men P1 1, P2 0, P4 failed. Three women have no allele, whatever their calls are.
    assert (row["allele_count"], row["allele_number"]) == (1, 2)
    # A woman's sex is not known: her call stands, but tells no frequency.
    unknown = by_position(PEOPLE.assign(sex=PEOPLE["sex"].where(PEOPLE["sample_id"] != "P0", "unknown")))
    row = unknown[7000000]
    assert (row["n_carriers"], row["allele_count"], row["allele_number"]) == (2, 1, 2)
    assert row["call_rate"] == pytest.approx(2 / 3)


def test_count_batch__batches_on_y_are_compared_by_their_men():
    people = pd.DataFrame(
        {
            "sample_id": [f"P{number}" for number in range(6)],
            "sample_index": range(6),
            "is_case": 0,
            "sex": ["male", "male", "male", "male", "female", "female"],
            "ancestry": "group1",
            "batch": ["w1", "w1", "w2", "w2", "w2", "w2"],
            "training": True,
        }
    )
    batch = counted(people, [variant("chrY", 7000000, "1 1 0 0 0/0 0/0")])
    # Of four alleles, two in each batch, both alternate ones are in w1: 2, where 1 is expected.
    variance = 2 * 2 * 2 * 2 / (4**3 - 4**2)
    assert batch.column("batch_p")[0].as_py() == pytest.approx(chi2.sf(0.5**2 / variance, 1))


def test_count_batch__labels_of_test_people_change_nothing():
    swapped = PEOPLE.assign(is_case=PEOPLE["is_case"].where(PEOPLE["training"], 1 - PEOPLE["is_case"]))
    assert counted().equals(counted(swapped))


def test_count_batch__calls_of_test_people_change_carriers_alone():
    changed = [{**item, "calls": [*item["calls"][:6], "fail", "1/1"]} for item in VARIANTS]
    columns = [name for name in COUNTED_SCHEMA.names if name != "n_carriers"]
    assert counted(variants=changed).select(columns).equals(counted().select(columns))


def test_count_batch__labels_of_training_people_do():
    assert not counted().equals(counted(PEOPLE.assign(is_case=1 - PEOPLE["is_case"])))


def test_count_batch__people_who_were_dropped_are_not_counted():
    rest = PEOPLE[PEOPLE["sample_id"] != "P1"].assign(sample_index=[6, 5, 4, 3, 2, 1, 0])
    row = by_position(rest)[1000]
    assert (row["call_rate"], row["call_rate_cases"], row["n_carriers"]) == (1, 1, 5)


def test_count_batch__rates_without_people_are_missing():
    row = by_position(PEOPLE.assign(training=PEOPLE["is_case"] == 0))[1000]
    assert row["call_rate_cases"] is None
    assert row["call_rate_controls"] == 1


def test_count_batch__ancestry_groups_that_only_one_batch_has_say_nothing_about_it():
    # P3 of w1 and P5 of w2 share an ancestry group; P4 of w2 is alone in the other.
    people = PEOPLE.assign(ancestry=["a", "a", "a", "a", "b", "a", "b", "b"])
    row = by_position(people)[1000]
    # P3 1 of 2, P5 0 of 2; P4, who has two, says nothing.
    assert row["batch_p"] == pytest.approx(chi2.sf((0.5 - 0.5) ** 2 / (1 * 3 * 2 * 2 / (4**3 - 4**2)), 1))
    assert (row["hom_ref"], row["het"], row["hom_var"]) == ([1, 0], [1, 0], [0, 1])


def test_flag_variants__hardy_weinberg_in_training_controls_and_women_on_x(told):
    rows, _ = told
    exact = {
        1000: hl.hardy_weinberg_test(1, 1, 1),
        3000: hl.hardy_weinberg_test(0, 3, 0),
        5000000: hl.hardy_weinberg_test(0, 1, 1),
    }
    for position, test in exact.items():
        assert rows[position]["hwe_p"] == pytest.approx(hl.eval(test.p_value)), position
    assert rows[7000000]["hwe_p"] is None


def test_flag_variants__one_batch_is_not_compared(tmp_path: Path, hail_session: None):
    rows, _ = measured(tmp_path, PEOPLE.assign(batch="all"), VARIANTS)
    assert {row["batch_p"] for row in rows.values()} == {None}


def test_flag_variants__reasons_of_the_site_first(told):
    rows, _ = told
    found = {position: row["reasons"] for position, row in rows.items()}
    assert found[1000] == ["call_rate", "call_rate_cases", "call_rate_difference"]
    assert found[2000] == ["filter_not_pass", "monomorphic"]
    assert found[3000] == []
    assert [position for position, row in rows.items() if row["passes"]] == [3000]


def test_flag_variants__totals_add_up_over_parts(told):
    rows, totals = told
    whole = totals[0] + totals[1]
    assert (len(totals), whole.n, whole.n_passing) == (2, len(VARIANTS), 1)
    assert whole.reasons == Counter(reason for row in rows.values() for reason in row["reasons"])
    rates = whole.histograms["call_rate"]
    # Three of eight people's calls fail at one variant each: below the axis; 1 at its end.
    assert (rates.sum(), rates[0], rates[N_BINS - 1]) == (7, 5, 2)
    assert whole.histograms["log10_hwe_p"].sum() == sum(row["hwe_p"] is not None for row in rows.values())


def test_passing_variants__as_a_hail_table(run: Path, told):
    columns = ["variant", "old_alleles", "a_index", "annotation", "allele_count"]
    (row,) = passing_variants(f"{run}/variants", columns, "GRCh38").collect()
    assert (row.locus, row.alleles) == (hl.Locus("chr1", 3000, "GRCh38"), ["A", "C"])
    assert (row.variant, row.a_index, row.old_alleles, row.annotation) == (2, 1, ["A", "C"], None)


def random_cohort(n_people: int, n_variants: int) -> list[dict[str, Any]]:
    random = np.random.default_rng(5)
    frequencies = random.uniform(0.03, 0.6, n_variants)[:, np.newaxis]
    alleles = (random.random((2, n_variants, n_people)) < frequencies).sum(axis=0)
    texts = np.array(["0/0", "0/1", "1/1", "./."])
    codes = np.where(random.random(alleles.shape) < 0.05, 3, alleles)
    return [variant("chr2", 1000 + place, " ".join(texts[row])) for place, row in enumerate(codes)]


def random_people(n_people: int, n_batches: int, n_ancestries: int) -> pd.DataFrame:
    random = np.random.default_rng(6)
    return everybody(n_people).assign(
        sample_index=range(n_people),
        is_case=random.integers(0, 2, n_people),
        sex=random.choice(["female", "male", "unknown"], n_people),
        ancestry=[f"a{number}" for number in random.integers(0, n_ancestries, n_people)],
        batch=[f"w{number}" for number in random.integers(0, n_batches, n_people)],
        training=random.random(n_people) < 0.9,
    )


def test_flag_variants__as_hail_counts_and_tests(tmp_path: Path, hail_session: None):
    people, variants = random_people(90, 3, 2), random_cohort(90, 40)
    rows, _ = measured(tmp_path, people, variants)
    mt = hail_matrix(*variants, people=people["sample_id"].tolist())
    labels = hl.Table.from_pandas(people.drop(columns="person"), key="sample_id")
    mt = hl.variant_qc(mt.annotate_cols(**labels[mt.s]))
    control = mt.training & (mt.is_case == 0)
    exact = hl.agg.group_by(mt.ancestry, hl.agg.hardy_weinberg_test(mt.GT).p_value)
    wanted = mt.select_rows(
        call_rate=hl.agg.filter(mt.training, hl.agg.fraction(hl.is_defined(mt.GT))),
        call_rate_cases=hl.agg.filter(mt.training & (mt.is_case == 1), hl.agg.fraction(hl.is_defined(mt.GT))),
        n_carriers=mt.variant_qc.n_non_ref,
        stats=hl.agg.filter(mt.training, hl.agg.call_stats(mt.GT, mt.alleles)),
        hwe_p=hl.min(hl.agg.filter(control, exact).values()),
    ).rows()
    wanted = wanted.transmute(allele_count=wanted.stats.AC[1], allele_number=wanted.stats.AN)
    for row in wanted.collect():
        found = rows[row.locus.position]
        for name in wanted.row_value:
            assert found[name] == pytest.approx(row[name], rel=1e-9), name
    assert len(rows) == wanted.count() == 40


@pytest.mark.timeout(90)
def test_flag_variants__hundreds_of_strata(tmp_path: Path, hail_session: None):
    people, variants = random_people(2500, 60, 4), random_cohort(2500, 30)
    # Sixty batches in four ancestry groups by sex, and cases and people of the test fold by sex.
    assert (make_strata(people).size_XG > 0).sum() > 500
    rows, _ = measured(tmp_path, people, variants)
    tables = _batch_tables(people, variants[7]["calls"])
    by_batch = hl.literal(tables, "array<array<array<int64>>>")
    test = by_batch.map(lambda table: hl.cochran_mantel_haenszel_test(*(table[k] for k in range(4))).p_value)
    assert rows[1007]["batch_p"] == pytest.approx(hl.eval(hl.min(test)))
    assert all(0 < row["batch_p"] < 1 for row in rows.values())


def _batch_tables(people: pd.DataFrame, calls: list[str]) -> list[list[list[int]]]:
    """The four cells of each batch's tables, by ancestry group."""
    numbers = pd.DataFrame(
        {
            "alternate": [{"0/1": 1, "1/1": 2}.get(call, 0) for call in calls],
            "reference": [{"0/1": 1, "0/0": 2}.get(call, 0) for call in calls],
        }
    ).join(people)
    controls = numbers[numbers["training"] & (numbers["is_case"] == 0)]
    tables = []
    for batch in sorted(controls["batch"].unique()):
        by = controls.groupby([controls["batch"] != batch, "ancestry"])[["alternate", "reference"]].sum()
        sums = by.unstack(0, fill_value=0).loc[by.loc[False].index]
        tables.append([sums[name, other].tolist() for name in by.columns for other in (False, True)])
    return tables


def test_inbreeding__by_hand():
    # 120 controls of two ancestry groups: 60 heterozygotes and nobody else; 15, 30, 15 in equilibrium.
    people = pd.DataFrame(
        {
            "sample_id": [f"P{number}" for number in range(120)],
            "sample_index": range(120),
            "is_case": 0,
            "sex": "female",
            "ancestry": ["a"] * 60 + ["b"] * 60,
            "batch": "w1",
            "training": True,
        }
    )
    equilibrium = ["0/0"] * 15 + ["0/1"] * 30 + ["1/1"] * 15
    rows = counted(
        people,
        [
            variant("chr1", 1000, " ".join(["0/1"] * 60 + equilibrium)),
            variant("chr1", 2000, " ".join(equilibrium * 2)),
            variant("chr1", 3000, " ".join(["0/0"] * 120)),
            variant("chr1", 4000, " ".join(["./."] * 30 + ["0/1"] * 90)),
        ],
    )
    # Expected: 60 / 2 in either group, where half of the alleles are alternate.
    found = inbreeding(rows)
    assert found[:2] == pytest.approx([1 - 90 / 60, 0])
    assert np.isnan(found[2:]).all(), "nobody carries it; too few people have a call"
    failed = variant_failures(rows, np.full(4, 1.0), load_config(Profile, PROFILES / "bipex.yaml").variant)
    assert failed["excess_heterozygosity"].tolist() == [True, False, False, False]
