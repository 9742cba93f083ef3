from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from contract.reference import VariantFile
from etl.aggregate.masks import FEATURE
from etl.cohort.calls import sex_codes
from etl.cohort.people import KeptPeople
from etl.export import reference_variants
from etl.export.reference_variants import REFERENCE_SCHEMA
from etl.like.features import (
    CALL_RATE,
    COLUMNS,
    FAILED_THERE,
    SEEN,
    SITE,
    UNSEEN,
    VariantJoin,
    known_features,
    unseen_variants,
)
from etl.like.lookup import VariantTable
from tests.etl.cohort_rows import cohort_table, variant

CONTRIBUTION = {field.name: 1 for field in FEATURE}


@pytest.fixture
def variants(tmp_path: Path) -> VariantTable:
    rows = pa.Table.from_pylist(
        [
            {"position": 100, "ref": "A", "alt": "C", "passes": True, "features": [CONTRIBUTION]},
            {"position": 200, "ref": "A", "alt": "C", "passes": False},
            {"position": 300, "ref": "A", "alt": "C", "passes": True},
        ],
        REFERENCE_SCHEMA,
    )
    (tmp_path / "variants").mkdir()
    file: VariantFile = reference_variants._write(str(tmp_path), "variants/a.parquet", "chr1", rows)
    return VariantTable(str(tmp_path), (file,))


def run(
    variants: VariantTable, *rows: dict, **changes: object
) -> tuple[dict[int, list], Counter[str], list[dict]]:
    """Features of known variants, what was counted, and rows of the others."""
    people = KeptPeople(np.arange(4, dtype=np.int32), sex_codes(["female", "male", "male", "female"]))
    settings = {"min_call_rate": None, "n_people": 100, "n_men": 40, "annotated": True} | changes
    join = VariantJoin(variants=variants, people=people, **settings)
    batches = cohort_table(*rows).select(list(COLUMNS)).to_batches()
    features: dict[int, list] = {}
    kernel = known_features(iter(batches), join)
    while True:
        try:
            batch = next(kernel)
        except StopIteration as end:
            unseen = [row for batch in unseen_variants(iter(batches), join) for row in batch.to_pylist()]
            return features, end.value, unseen
        features |= dict(zip(batch["variant"].to_pylist(), batch["features"].to_pylist(), strict=True))


def test_known_features__of_variants_that_passed_there(variants: VariantTable):
    rows = [variant("chr1", position, "0/1 0/0 0/0 0/0") for position in (100, 200, 300)]
    failing = variant("chr1", 100, "0/1 0/0 0/0 0/0", site_reasons=["low_complexity"])
    features, counts, unseen = run(variants, *rows, failing)
    assert features == {0: [CONTRIBUTION]}
    assert counts == {SEEN: 2, FAILED_THERE: 1, SITE: 1, UNSEEN: 0, CALL_RATE: 0}
    assert unseen == []


def test_unseen_variants__nobody_there_carries_them(variants: VariantTable):
    features, counts, (row,) = run(variants, variant("chr1", 150, "0/1 0/0 0/0 0/0", variant=7))
    assert features == {}
    assert counts[UNSEEN] == 1
    assert (row["variant"], row["position"], row["a_index"]) == (7, 150, 1)
    assert (row["allele_count"], row["allele_number"], row["passes"]) == (0, 200, True)
    assert row["call_rate"] is None


def test_unseen_variants__alleles_there_by_region_and_sex(variants: VariantTable):
    places = (("chr1", 150), ("chrX", 5_000_000), ("chrX", 20_000), ("chrY", 10_000_000))
    rows = [variant(contig, position, "0/0 0/0 1/1 0/0") for contig, position in places]
    _, _, unseen = run(variants, *rows)
    # Of 60 women and 40 men; the third lies in a pseudo-autosomal region.
    assert [row["allele_number"] for row in unseen] == [200, 160, 200, 40]


def test_unseen_variants__may_count_nowhere(variants: VariantTable):
    _, counts, unseen = run(variants, variant("chr1", 150, "0/1 0/0 0/0 0/0"), annotated=False)
    assert unseen == []
    assert counts[UNSEEN] == 1


def test_usable__variants_that_too_few_of_many_new_people_are_called_at(variants: VariantTable):
    rows = [variant("chr1", 100, "0/1 ./. 0/0 0/0"), variant("chr1", 150, "0/1 ./. 0/0 0/0")]
    features, counts, unseen = run(variants, *rows, min_call_rate=0.9)
    assert (features, unseen) == ({}, [])
    assert counts[CALL_RATE] == 2
    features, counts, unseen = run(variants, *rows, min_call_rate=0.75)
    assert (len(features), len(unseen), counts[CALL_RATE]) == (1, 1, 0)


def test_usable__on_y_men_alone_are_asked(variants: VariantTable):
    row = variant("chrY", 10_000_000, "./. 0/0 1/1 ./.")
    assert run(variants, row, min_call_rate=1.0)[1][CALL_RATE] == 0
    row = variant("chrY", 10_000_000, "./. ./. 1/1 ./.")
    assert run(variants, row, min_call_rate=1.0)[1][CALL_RATE] == 1
