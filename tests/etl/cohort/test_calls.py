import numpy as np
import pyarrow as pa
import pytest

from etl.cohort.calls import FEMALE, MALE, UNKNOWN, fit_ploidy, keep_people, nested, read_calls
from etl.cohort.schema import FAILED, HAPLOID_ALT, HET, HOM_ALT, NOT_CALLED
from tests.etl.cohort_rows import cohort_table, hail_matrix, variant

CALLS = ("0/0", "0/1", "1/1", "1", "./.")
SEXES = ("female", "male", "unknown")
SITES = (("chr1", 1000), ("chrX", 20_000), ("chrX", 5_000_000), ("chrY", 20_000), ("chrY", 5_000_000))
"""Autosome, both pseudo-autosomal regions and the rest of X and Y."""


def batch_of(table: pa.Table) -> pa.RecordBatch:
    return table.combine_chunks().to_batches()[0]


def test_read_calls__flat_over_variants():
    calls = read_calls(
        batch_of(cohort_table(variant("chr1", 1, "0/1 0/0 ./."), variant("chr1", 2, "0/0 0/0 1")))
    )
    assert (calls.n_variants, calls.variant_E.tolist(), calls.person_E.tolist()) == (2, [0, 0, 1], [0, 2, 2])
    assert calls.call_E.tolist() == [HET, NOT_CALLED, HAPLOID_ALT]
    assert calls.missing_E.tolist() == [False, True, False]


def test_read_calls__of_a_slice():
    table = cohort_table(
        variant("chr1", 1, "0/1 0/0"), variant("chr1", 2, "1/1 fail"), variant("chr1", 3, "0/1 1")
    )
    calls = read_calls(batch_of(table).slice(1, 1))
    assert (calls.n_variants, calls.variant_E.tolist(), calls.call_E.tolist()) == (
        1,
        [0, 0],
        [HOM_ALT, FAILED],
    )


def test_nested__empty_lists_between_others():
    assert nested(pa.array([5, 6, 7]), np.array([2, 0, 1])).to_pylist() == [[5, 6], [], [7]]


def test_keep_people__others_are_left_out_and_numbers_change():
    calls = read_calls(batch_of(cohort_table(variant("chr1", 1, "0/1 1/1 0/1"))))
    kept = keep_people(calls, np.array([1, -1, 0], dtype=np.int32))
    assert (kept.person_E.tolist(), kept.call_E.tolist()) == ([1, 0], [HET, HET])


def test_fit_ploidy__on_x_and_y_outside_the_pseudoautosomal_regions():
    def fitted(contig: str, sex: int) -> list[int]:
        batch = batch_of(cohort_table(variant(contig, 5_000_000, "0/1 1/1 1 ./. fail")))
        regions = batch.column("region").to_pylist()
        return fit_ploidy(read_calls(batch), regions, np.full(5, sex, dtype=np.int8)).call_E.tolist()

    assert (
        fitted("chrX", MALE) == fitted("chrY", MALE) == [FAILED, HAPLOID_ALT, HAPLOID_ALT, NOT_CALLED, FAILED]
    )
    assert fitted("chrX", FEMALE) == [HET, HOM_ALT, FAILED, NOT_CALLED, FAILED]
    assert fitted("chrY", FEMALE) == [FAILED] * 5
    assert fitted("chrX", UNKNOWN) == [HET, HOM_ALT, HAPLOID_ALT, NOT_CALLED, FAILED]


def test_fit_ploidy__as_gnomad_does(hail_session: None):
    hl = pytest.importorskip("hail")
    from gnomad.sample_qc.sex import adjust_sex_ploidy

    people = [(sex, call) for sex in SEXES for call in CALLS]
    variants = [variant(*site, " ".join(call for _, call in people)) for site in SITES]
    mt = hail_matrix(*variants, people=[f"{place:02}" for place in range(len(people))])
    karyotype = {"female": "XX", "male": "XY", "unknown": "unknown"}
    karyotypes = hl.literal([karyotype[sex] for sex, _ in people])
    mt = adjust_sex_ploidy(mt, karyotypes[hl.int32(mt.s)])
    wanted = [
        [str(call) for call in row] for row in mt.annotate_rows(found=hl.agg.collect(mt.GT)).found.collect()
    ]

    batch = batch_of(cohort_table(*variants))
    codes = {"female": FEMALE, "male": MALE, "unknown": UNKNOWN}
    sex_P = np.array([codes[sex] for sex, _ in people], dtype=np.int8)
    calls = fit_ploidy(read_calls(batch), batch.column("region").to_pylist(), sex_P)
    texts = {HET: "0/1", HOM_ALT: "1/1", HAPLOID_ALT: "1", NOT_CALLED: "None", FAILED: "None"}
    for site, person, code in zip(calls.variant_E, calls.person_E, calls.call_E, strict=True):
        if people[person] == ("female", "1") and SITES[site] == ("chrX", 5_000_000):
            assert code == FAILED, "a rule of ours"
        elif people[person][0] == "female" and SITES[site] == ("chrY", 20_000):
            assert code in (HET, HOM_ALT, HAPLOID_ALT, NOT_CALLED), "kept where callers call none"
        else:
            assert texts[code] == wanted[site][person], (SITES[site], people[person])
