import numpy as np
import pandas as pd

from etl.cohort.calls import FEMALE, MALE, UNKNOWN
from etl.cohort.people import kept_people, person_sex
from etl.cohort.schema import FAILED, HAPLOID_ALT, HET
from tests.etl.cohort_rows import cohort_table, variant

EVERYBODY = pd.DataFrame({"person": [0, 1, 2], "sample_id": ["A", "B", "C"]})


def test_kept_people__by_sample_index():
    samples = pd.DataFrame(
        {"sample_id": ["A", "C"], "sample_index": [1, 0], "sex": ["female", "unknown"]}, index=[7, 4]
    )
    people = kept_people(EVERYBODY, samples)
    assert people.index_P.tolist() == [1, -1, 0]
    assert people.sex_K.tolist() == [UNKNOWN, FEMALE]


def test_calls__of_those_who_stay_with_ploidy_by_sex():
    samples = pd.DataFrame({"sample_id": ["B", "C"], "sample_index": [0, 1], "sex": ["male", "female"]})
    people = kept_people(EVERYBODY, samples)
    assert people.sex_K.tolist() == [MALE, FEMALE]
    table = cohort_table(variant("chrX", 5_000_000, "0/1 1/1 0/1"), variant("chrX", 6_000_000, "0/1 0/1 0/0"))
    calls = people.calls(table.combine_chunks().to_batches()[0])
    assert calls.variant_E.tolist() == [0, 0, 1]
    assert calls.person_E.tolist() == [0, 1, 0]
    assert calls.call_E.tolist() == [HAPLOID_ALT, HET, FAILED]


def test_person_sex__measured_before_reported():
    samples = pd.DataFrame(
        {"imputed_sex": ["male", None, np.nan], "reported_sex": ["female", "female", None]}, dtype=object
    )
    assert person_sex(samples).tolist() == ["male", "female", "unknown"]
