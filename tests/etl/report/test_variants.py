import numpy as np
import pyarrow as pa

from etl.report.variants import DIFFERENCE_EDGES, READ_COLUMNS, VariantSums, sum_variants

ROWS = [
    # ref, alt, reasons, passes, allele count and number, call rates of cases and controls, Hardy-Weinberg p
    ("A", "C", [], True, 1, 100, 1.0, 1.0, 1.0),
    ("A", "CT", [], True, 96, 100, 0.99, 1.0, 0.01),
    ("A", "G", ["filter_not_pass", "hwe"], False, 50, 100, 0.5, 1.0, 1e-9),
    ("C", "T", ["call_rate", "hwe"], False, 0, 100, 0.9, 0.95, None),
]


def batch(rows):
    columns = dict(zip(READ_COLUMNS[:2], zip(*[row[:2] for row in rows], strict=True), strict=True))
    names = ("reasons", "passes", "allele_count", "allele_number")
    columns |= {name: [row[place] for row in rows] for place, name in enumerate(names, start=2)}
    names = ("call_rate_cases", "call_rate_controls", "hwe_p")
    columns |= {
        name: pa.array([row[place] for row in rows], pa.float64()) for place, name in enumerate(names, 6)
    }
    return pa.RecordBatch.from_pydict({name: columns[name] for name in READ_COLUMNS})


def sums_of(*batches) -> VariantSums:
    return sum_variants(iter(batches), frozenset({"filter_not_pass"}))


def test_sum_variants__first_and_all_reasons():
    sums = sums_of(batch(ROWS))
    assert (sums.n, sums.n_passing) == (4, 2)
    assert sums.first == {"filter_not_pass": 1, "call_rate": 1}
    assert sums.every == {"filter_not_pass": 1, "hwe": 2, "call_rate": 1}


def test_sum_variants__spectrum_is_of_minor_alleles_that_pass():
    spectrum = sums_of(batch(ROWS)).spectrum
    assert np.argwhere(spectrum).tolist() == [[0, 1], [1, 3]], (
        "an SNV seen once; four copies of an indel's other"
    )


def test_sum_variants__tests_are_of_good_sites():
    sums = sums_of(batch(ROWS))
    assert sums.differences.sum() == 3
    assert sums.differences[0] == 1, "0.9 - 0.95 lies at the end of the axis"
    assert sums.differences[np.searchsorted(DIFFERENCE_EDGES, 0.0)] == 1
    assert np.flatnonzero(sums.p_values).tolist() == [0, 200], "p of 1 and 0.01"


def test_sum_variants__batches_and_slices_add_up():
    whole, parts = sums_of(batch(ROWS)), sums_of(batch(ROWS).slice(0, 3), batch(ROWS).slice(3))
    assert (parts.first, parts.every, parts.n) == (whole.first, whole.every, whole.n)
    assert (parts.spectrum == whole.spectrum).all()
    assert (parts.p_values == whole.p_values).all()
