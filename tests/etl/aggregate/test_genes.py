import pytest

pytest.importorskip("hail")
import hail as hl

from etl.aggregate.genes import feature_entries

pytestmark = pytest.mark.usefixtures("hail_session")

MISSING, REFERENCE = "missing", "reference"


def sparse_cohort(calls):
    """Calls as variants of persons; reference entries filtered as at ingest; sample_index runs backwards."""
    n_people = len(calls[0])
    mt = hl.utils.range_matrix_table(len(calls), n_people)
    mt = mt.annotate_cols(s=hl.str(mt.col_idx), sample_index=n_people - 1 - mt.col_idx)
    mt = mt.annotate_rows(locus=hl.locus("X", 3_000_000 + mt.row_idx, "GRCh37"), alleles=["A", "T"])
    mt = mt.annotate_entries(text=hl.literal(calls)[mt.row_idx][mt.col_idx])
    called = (mt.text != MISSING) & (mt.text != REFERENCE)
    mt = mt.annotate_entries(GT=hl.parse_call(hl.or_missing(called, mt.text)))
    mt = mt.filter_entries(mt.text != REFERENCE).key_cols_by("s").key_rows_by("locus", "alleles")
    return mt.select_entries("GT")


def features_table(mt, features):
    rows = mt.rows()
    feature = hl.tstruct(index=hl.tint32, het=hl.tfloat64, hom=hl.tfloat64, missing=hl.tfloat64)
    content = [
        [dict(zip(("index", "het", "hom", "missing"), item, strict=True)) for item in row] for row in features
    ]
    rows = rows.select(features=hl.literal(content, hl.tarray(hl.tarray(feature)))[rows.row_idx])
    return rows.filter(hl.len(rows.features) > 0)


def summed(calls, features):
    mt = sparse_cohort(calls)
    frame = feature_entries(mt, features_table(mt, features)).toPandas()
    return {(row.sample_index, row["index"]): row.value for _, row in frame.iterrows()}


def test_feature_entries__sums_by_person_and_feature():
    found = summed(
        [["0/1", REFERENCE, "1/1"], ["0/1", "0/1", REFERENCE]],
        [[(4, 1.0, 2.0, 0.0)], [(4, 1.0, 2.0, 0.0), (9, 1.0, 2.0, 0.0)]],
    )
    assert found == {(2, 4): 2.0, (2, 9): 1.0, (1, 4): 1.0, (1, 9): 1.0, (0, 4): 2.0}


def test_feature_entries__haploid_alternate_counts_as_homozygous():
    assert summed([["1", "0/1", "0"]], [[(0, 1.0, 2.0, 0.5)]]) == {(2, 0): 2.0, (1, 0): 1.0}


def test_feature_entries__missing_is_not_reference():
    assert summed([[MISSING, REFERENCE]], [[(0, 1.0, 2.0, 0.25)]]) == {(1, 0): 0.25}


def test_feature_entries__zero_contributions_are_not_stored():
    assert summed([[MISSING, "0/1", "0/0"]], [[(0, 0.0, 2.0, 0.0)]]) == {}


def test_feature_entries__variants_without_features_are_left_out():
    assert summed([["0/1"], ["1/1"]], [[], [(3, 1.0, 2.0, 0.0)]]) == {(0, 3): 2.0}
