import hail as hl
import pandas as pd
import pytest

from contract.config import load_config
from etl.config import PROFILES
from etl.qc.genotype import sparse_cohort
from etl.qc.variants import keep_people, measure_variants, variant_failures
from etl.thresholds import Profile
from tests.etl.mini import HEADER, vcf_text, write_bgzip

pytestmark = pytest.mark.usefixtures("hail_session")

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
RECORDS = [  # of P0 … P7; P6 and P7 are in the test fold
    ("chr1", 1000, "0/1 ./. 0/0 0/1 1/1 0/0 1/1 0/1"),
    ("chr1", 2000, "0/0 0/0 0/0 0/0 0/0 0/0 0/0 0/0"),
    ("chr1", 3000, "0/0 0/0 0/0 0/1 0/1 0/1 0/0 0/0"),
    ("chrX", 5000000, "0/1 1/1 0/1 0/1 0/0 1/1 0/0 1"),  # P2: a man's heterozygote
    ("chrX", 6000000, "1 0 0 0/0 0 0/0 0/0 0"),  # P0: a woman's haploid call
]


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory, hail_session: None) -> hl.MatrixTable:
    lines = [
        f"{contig}\t{position}\t.\tA\tC\t50\tPASS\t.\tGT\t" + calls.replace(" ", "\t") + "\n"
        for contig, position, calls in RECORDS
    ]
    header = HEADER + "##contig=<ID=chrX,length=156040895>\n"
    path = write_bgzip(
        tmp_path_factory.mktemp("vcf") / "a.vcf.bgz", vcf_text(header, tuple(PEOPLE["sample_id"]), lines)
    )
    mt = hl.import_vcf(str(path), reference_genome="GRCh38")
    sparse = sparse_cohort(mt, {})
    sparse = sparse.annotate_rows(old_alleles=sparse.alleles)
    return sparse.checkpoint(hl.utils.new_temp_file("cohort", "mt"))


def measured(cohort: hl.MatrixTable, people: pd.DataFrame) -> dict[int, hl.Struct]:
    table = measure_variants(keep_people(cohort, people), people)
    return {row.locus.position: row for row in table.collect()}


def test_measure_variants__counts_by_hand(cohort: hl.MatrixTable):
    row = measured(cohort, PEOPLE)[1000]
    assert row.call_rate == pytest.approx(7 / 8)
    assert row.call_rate_cases == pytest.approx(2 / 3)
    assert row.call_rate_controls == 1
    assert row.n_carriers == 5  # P0 P3 P4 P6 P7
    assert (row.allele_count, row.allele_number) == (4, 10)  # P0 1, P3 1, P4 2 of five called


def test_measure_variants__nobody_carries_it(cohort: hl.MatrixTable):
    row = measured(cohort, PEOPLE)[2000]
    assert (row.n_carriers, row.allele_count, row.allele_number, row.call_rate) == (0, 0, 12, 1)


def test_measure_variants__men_on_x_are_haploid(cohort: hl.MatrixTable):
    row = measured(cohort, PEOPLE)[5000000]
    assert row.call_rate == pytest.approx(7 / 8), "a man's heterozygous call is none"
    # Training: P0 1 of 2, P1 1 of 1, P2 not called, P3 1 of 2, P4 0 of 1, P5 2 of 2.
    assert (row.allele_count, row.allele_number) == (5, 8)
    assert row.n_carriers == 5


def test_measure_variants__half_a_call_of_a_woman_on_x_is_none(cohort: hl.MatrixTable):
    row = measured(cohort, PEOPLE)[6000000]
    assert row.call_rate == pytest.approx(7 / 8)
    assert row.n_carriers == 0


def test_measure_variants__hardy_weinberg_in_training_controls_and_women_on_x(cohort: hl.MatrixTable):
    found = measured(cohort, PEOPLE)
    exact = {
        1000: hl.hardy_weinberg_test(1, 1, 1),  # P5, P3, P4
        3000: hl.hardy_weinberg_test(0, 3, 0),
        5000000: hl.hardy_weinberg_test(0, 1, 1),  # P3, P5: the women
    }
    for position, test in exact.items():
        assert found[position].hwe_p == pytest.approx(hl.eval(test.p_value)), position


def test_measure_variants__labels_of_test_people_change_nothing(cohort: hl.MatrixTable):
    swapped = PEOPLE.assign(is_case=PEOPLE["is_case"].where(PEOPLE["training"], 1 - PEOPLE["is_case"]))
    assert measured(cohort, PEOPLE) == measured(cohort, swapped)


def test_measure_variants__labels_of_training_people_do(cohort: hl.MatrixTable):
    swapped = PEOPLE.assign(is_case=1 - PEOPLE["is_case"])
    assert measured(cohort, PEOPLE) != measured(cohort, swapped)


def test_keep_people__columns_that_were_dropped_are_not_counted(cohort: hl.MatrixTable):
    row = measured(cohort, PEOPLE[PEOPLE["sample_id"] != "P1"].reset_index(drop=True))[1000]
    assert row.call_rate == 1


def test_variant_failures__named_reasons(cohort: hl.MatrixTable):
    limits = load_config(Profile, PROFILES / "bipex.yaml").variant
    table = measure_variants(keep_people(cohort, PEOPLE), PEOPLE)
    table = table.select(**variant_failures(table, limits))
    found = {row.locus.position: {name for name in table.row_value if row[name]} for row in table.collect()}
    assert found[1000] == {"call_rate", "call_rate_cases", "call_rate_difference"}
    assert found[2000] == {"monomorphic"}
    assert found[3000] == set()
