from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from contract.reference import VariantFile
from etl.aggregate.config import MaskConfig
from etl.aggregate.masks import STATES
from etl.annotate.consequence import Consequence, Site
from etl.cohort.calls import sex_codes
from etl.cohort.people import KeptPeople
from etl.export import reference_variants
from etl.export.reference_variants import REFERENCE_SCHEMA
from etl.like.features import CALL_RATE, COLUMNS, FAILED_THERE, SEEN, SITE, UNSEEN, NewFeatures
from etl.like.lookup import VariantTable
from tests.etl.cohort_rows import cohort_table, variant

MASKS = (
    MaskConfig(name="synonymous", classes=("synonymous",), max_frequency=0.01),
    MaskConfig(name="weighted", classes=("any",), weight="beta"),
)


def annotate(site: Site) -> list[Consequence]:
    """Everything is synonymous in the second of three genes."""
    fields = {"gene": 1, "symbol": None, "consequence": "synonymous_variant", "variant_class": "synonymous"}
    nothing = dict.fromkeys(Consequence._fields)
    return [Consequence(**nothing | fields)]


@pytest.fixture
def variants(tmp_path: Path) -> VariantTable:
    feature = {"index": 2, **dict.fromkeys(STATES, 0.5)}
    rows = pa.Table.from_pylist(
        [
            {"position": 100, "ref": "A", "alt": "C", "passes": True, "features": [feature]},
            {"position": 200, "ref": "A", "alt": "C", "passes": False},
            {"position": 300, "ref": "A", "alt": "C", "passes": True},
        ],
        REFERENCE_SCHEMA,
    )
    (tmp_path / "variants").mkdir()
    file: VariantFile = reference_variants._write(str(tmp_path), "variants/a.parquet", "chr1", rows)
    return VariantTable(str(tmp_path), (file,))


def found(variants: VariantTable, *rows: dict, **changes: object) -> tuple[dict[int, list], Counter[str]]:
    people = KeptPeople(np.arange(4, dtype=np.int32), sex_codes(["female", "male", "male", "female"]))
    settings = {
        "min_call_rate": None,
        "annotator": annotate,
        "masks": MASKS,
        "n_genes": 3,
        "allele_number": 200,
    }
    work = NewFeatures(variants=variants, people=people, **settings | changes)
    batches = iter(cohort_table(*rows).select(list(COLUMNS)).to_batches())
    features: dict[int, list] = {}

    def whole() -> Iterator[pa.RecordBatch]:
        return (yield from work(batches))

    running = whole()
    while True:
        try:
            batch = next(running)
        except StopIteration as end:
            return features, end.value
        features |= dict(zip(batch["variant"].to_pylist(), batch["features"].to_pylist(), strict=True))


def test_features__of_variants_that_the_first_cohort_knows(variants: VariantTable):
    rows = [variant("chr1", position, "0/1 0/0 0/0 0/0") for position in (100, 200, 300)]
    features, counts = found(variants, *rows, variant("chr1", 100, "0/1 0/0 0/0 0/0", site_reasons=["lcr"]))
    assert features == {0: [{"index": 2, **dict.fromkeys(STATES, 0.5)}]}
    assert counts == {SEEN: 2, FAILED_THERE: 1, SITE: 1, UNSEEN: 0, CALL_RATE: 0}


def test_features__of_variants_that_it_lacks_follow_from_frequency_0(variants: VariantTable):
    features, counts = found(variants, variant("chr1", 150, "0/1 0/0 0/0 0/0"))
    (synonymous, weighted) = features[0]
    assert (synonymous["index"], synonymous["het"], synonymous["hom"], synonymous["missing"]) == (1, 1, 2, 0)
    assert (weighted["index"], weighted["het"], weighted["missing"]) == (4, 25, 0)
    assert counts[UNSEEN] == 1


def test_features__of_variants_that_it_lacks_may_count_nowhere(variants: VariantTable):
    features, counts = found(variants, variant("chr1", 150, "0/1 0/0 0/0 0/0"), annotator=None)
    assert features == {}
    assert counts[UNSEEN] == 1


def test_features__variants_that_too_few_of_many_new_people_are_called_at(variants: VariantTable):
    rows = [variant("chr1", 100, "0/1 ./. 0/0 0/0"), variant("chr1", 150, "0/1 0/0 0/0 0/0")]
    features, counts = found(variants, *rows, min_call_rate=0.9)
    assert list(features) == [1]
    assert counts[CALL_RATE] == 1
    assert list(found(variants, *rows, min_call_rate=0.75)[0]) == [0, 1]


def test_features__on_y_men_alone_are_asked(variants: VariantTable):
    row = variant("chrY", 10_000_000, "./. 0/0 1/1 ./.")
    assert list(found(variants, row, min_call_rate=1.0)[0]) == [0]
    row = variant("chrY", 10_000_000, "./. ./. 1/1 ./.")
    assert found(variants, row, min_call_rate=1.0)[1][CALL_RATE] == 1
