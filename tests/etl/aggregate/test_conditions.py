import pyarrow as pa
import pytest

from etl.aggregate.conditions import counted, meets, read_consequences
from etl.aggregate.config import Condition, MaskConfig, MasksConfig
from etl.annotate.variants import ANNOTATED_SCHEMA

SCORES = ("revel", "cadd", "spliceai")


def one(variant_class="other", **fields):
    """A consequence; scores are given by name."""
    scores = [fields.pop(name, None) for name in SCORES]
    return {"gene": 0, "variant_class": variant_class, "scores": scores, **fields}


def consequences(*variants):
    """Consequences of variants given as lists of them."""
    rows = [{"variant": place, "consequences": found} for place, found in enumerate(variants)]
    batch = pa.RecordBatch.from_pylist(rows, schema=ANNOTATED_SCHEMA)
    return read_consequences(batch, SCORES)


EXAMPLES = consequences(
    [one("plof", loftee="HC", terms=["stop_gained"], cadd=35.0)],
    [one("other_missense", terms=["missense_variant", "splice_region_variant"], revel=0.773)],
    None,
    [one("other_missense", terms=["missense_variant"], revel=float("nan"), spliceai=0.9)],
    [one("synonymous", terms=["synonymous_variant"]), one("plof_low_confidence", loftee="LC", revel=0.5)],
)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"classes": ["plof", "synonymous"]}, [1, 0, 0, 1, 0]),
        ({"classes": ["any"]}, [1, 1, 1, 1, 1]),
        ({"terms": ["splice_region_variant"]}, [0, 1, 0, 0, 0]),
        ({"terms": ["missense_variant", "stop_gained"]}, [1, 1, 1, 0, 0]),
        ({"loftee": ["HC"]}, [1, 0, 0, 0, 0]),
        ({"loftee": ["HC", "LC"]}, [1, 0, 0, 0, 1]),
        ({"scores": {"revel": {"min": 0.773}}}, [0, 1, 0, 0, 0]),
        ({"scores": {"revel": {"above": 0.773}}}, [0, 0, 0, 0, 0]),
        ({"scores": {"revel": {"max": 0.5}}}, [0, 0, 0, 0, 1]),
        ({"scores": {"revel": {"below": 0.5}}}, [0, 0, 0, 0, 0]),
        ({"scores": {"revel": {"above": 0.4, "below": 0.6}}}, [0, 0, 0, 0, 1]),
        ({"terms": ["missense_variant"], "scores": {"spliceai": {"min": 0.2}}}, [0, 0, 1, 0, 0]),
    ],
)
def test_meets__all_that_a_condition_asks(settings, expected):
    assert meets(Condition.model_validate(settings), EXAMPLES).tolist() == [bool(flag) for flag in expected]
    assert EXAMPLES.variant_C.tolist() == [0, 1, 3, 4, 4]


def test_counted__one_of_any_and_nothing_of_none():
    mask = MaskConfig(
        name="m",
        any_of=({"scores": {"revel": {"min": 0.5}}}, {"scores": {"spliceai": {"min": 0.2}}}),
        none_of=({"loftee": ("LC",)},),
    )
    assert counted(mask, EXAMPLES).tolist() == [False, True, True, False, False]


def test_meets__a_slice_of_a_batch():
    rows = [{"variant": place, "consequences": [one(terms=[term], revel=score)]}
            for place, (term, score) in enumerate([("a", 0.1), ("b", 0.2), ("c", 0.3)])]  # fmt: skip
    batch = pa.RecordBatch.from_pylist(rows, schema=ANNOTATED_SCHEMA).slice(1, 2)
    found = read_consequences(batch, SCORES)
    assert meets(Condition(terms=("c",)), found).tolist() == [False, True]
    assert meets(Condition(scores={"revel": {"max": 0.2}}), found).tolist() == [True, False]


def test_meets__scores_that_an_annotation_left_out():
    rows = [{"variant": 0, "consequences": [{"gene": 0, "variant_class": "plof"}, one(cadd=20.0)]}]
    found = read_consequences(pa.RecordBatch.from_pylist(rows, schema=ANNOTATED_SCHEMA), SCORES)
    assert meets(Condition(scores={"cadd": {"min": 10}}), found).tolist() == [False, True]


# From BRaVa's script: the class of a variant by LOFTEE, terms and scores, the first that fits.
BRAVA = [
    (one(loftee="HC", terms=["stop_gained"], spliceai=0.9), "plof"),
    (one(terms=["missense_variant"], revel=0.773), "damaging_missense"),
    (one(terms=["missense_variant"], cadd=28.1), "damaging_missense"),
    (one(terms=["inframe_deletion"], cadd=30.0), "damaging_missense"),
    (one(terms=["synonymous_variant"], spliceai=0.2), "damaging_missense"),
    (one(loftee="LC", terms=["frameshift_variant"]), "damaging_missense"),
    (one(terms=["missense_variant"], revel=0.7, cadd=28.0, spliceai=0.19), "other_missense"),
    (one(terms=["missense_variant", "splice_region_variant"]), "other_missense"),
    (one(terms=["synonymous_variant"], cadd=30.0, revel=0.9), "synonymous"),
    (one(terms=["synonymous_variant", "intron_variant"]), None),
    (one(terms=["intron_variant"]), None),
]


@pytest.mark.parametrize(("example", "expected"), BRAVA)
def test_counted__classes_of_brava_s_script(example, expected):
    masks = MasksConfig(preset="brava").resolved()
    found = [mask.name for mask in masks if counted(mask, consequences([example])).item()]
    assert found == ([] if expected is None else [expected])
