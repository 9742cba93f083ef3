from etl.report.allele_balance import READ_COLUMNS, count_heterozygotes
from tests.etl.cohort_rows import cohort_table, variant


def test_count_heterozygotes__only_those_with_reads_count():
    table = cohort_table(
        variant("chr1", 100, "0/1:1,19:20:99 0/1:10,10:20:99 0/1 1/1:1,19:20:99"),
        variant("chr1", 200, "0/1:2,18:20:99 0/0 0/1:0,0:0:9 0/1:0,12:12:30"),
    )
    (batch,) = table.select(list(READ_COLUMNS)).to_batches()
    high, counted = count_heterozygotes(iter([batch]), n_people=4).tolist()
    assert counted == [2, 1, 0, 1]
    assert high == [1, 0, 0, 1], "18 of 20 is 0.9, not above it"
