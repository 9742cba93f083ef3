import pyarrow as pa
import pytest

from etl.aggregate.config import MaskConfig, MasksConfig
from etl.aggregate.masks import (
    FEATURES_SCHEMA,
    READ_COLUMNS,
    count_by_channel,
    mask_features,
    mask_variants,
)
from etl.aggregate.states import STATES
from etl.annotate.variants import ANNOTATED_SCHEMA

N_GENES = 10


def annotated(*variants):
    """Variants given as (allele count, allele number, [(gene, class), …]); their numbers are 0, 1, …"""
    rows = [
        {
            "variant": place,
            "allele_count": count,
            "allele_number": number,
            "consequences": None
            if consequences is None
            else [{"gene": gene, "variant_class": name} for gene, name in consequences],
        }
        for place, (count, number, consequences) in enumerate(variants)
    ]
    return pa.RecordBatch.from_pylist(rows, schema=ANNOTATED_SCHEMA).select(list(READ_COLUMNS))


SEALED = ("index", "het", "hom", "missing")
COUNTED = ("index", "others_het", "others_hom", "others_haploid")


def features_of(masks, *variants, names=SEALED):
    """Features of variants, by variant; `names` are for people of the test fold, or for all others."""
    found = mask_features(annotated(*variants), masks, N_GENES).to_pylist()
    return {
        row["variant"]: [tuple(item[name] for name in names) for item in row["features"]] for row in found
    }


def test_mask_features__index_is_channel_times_genes_plus_gene():
    masks = [MaskConfig(name="p", classes=("plof",)), MaskConfig(name="s", classes=("synonymous", "plof"))]
    found = features_of(masks, (50, 100, [(3, "plof"), (7, "synonymous"), (8, "other")]))
    assert [item[0] for item in found[0]] == [3, 13, 17]


def test_mask_features__frequency_limits():
    masks = MasksConfig(preset="any").resolved()
    one_gene = [(0, "any")]
    found = features_of(
        masks, (1, 100, one_gene), (2, 100, one_gene), (99, 100, one_gene), (0, 0, one_gene), (1, 9, None)
    )
    # 1 % belongs to the rare mask; a variant whose reference is the rare allele is common; without any call
    # outside the test fold there is no frequency.
    added = {place: [item[0] for item in items if item[1]] for place, items in found.items()}
    assert added == {0: [0], 1: [10], 2: [10]}


def test_mask_features__allele_count_limit():
    masks = [MaskConfig(name="p", classes=("plof",), max_allele_count=5)]
    found = features_of(masks, (5, 10, [(0, "plof")]), (8, 1000, [(0, "plof")]))
    assert list(found) == [0]


def test_mask_features__a_carrier_s_own_alleles_do_not_make_a_variant_common():
    masks = [MaskConfig(name="p", classes=("plof",), max_allele_count=5, max_frequency=0.01)]
    variants = [(count, 1000, [(0, "plof")]) for count in (5, 6, 7)]
    sealed, counted = (features_of(masks, *variants, names=names) for names in (SEALED, COUNTED))
    assert sealed == {0: [(0, 1.0, 2.0, 0.0)], 1: [(0, 0.0, 0.0, 0.0)], 2: [(0, 0.0, 0.0, 0.0)]}
    # Less one allele of a heterozygous or haploid carrier, two of a homozygous one.
    assert counted == {0: [(0, 1.0, 2.0, 2.0)], 1: [(0, 1.0, 2.0, 2.0)], 2: [(0, 0.0, 2.0, 0.0)]}


def test_mask_features__frequency_among_others():
    masks = [MaskConfig(name="p", classes=("any",), max_frequency=0.01)]
    found = features_of(masks, (2, 102, [(0, "plof")]), names=COUNTED)
    # 2 of 102 is above 1 %; for the carrier of one it is 1 of 100.
    assert found == {0: [(0, 1.0, 2.0, 2.0)]}


def test_mask_features__nobody_else_is_called():
    masks = [MaskConfig(name="p", classes=("any",))]
    assert features_of(masks, (1, 2, [(0, "plof")]), names=COUNTED) == {0: [(0, 0.0, 0.0, 2.0)]}


@pytest.mark.parametrize(
    ("coding", "expected"),
    [("additive", (1.0, 2.0, 0.5)), ("dominant", (1.0, 1.0, 0.4375)), ("recessive", (0.0, 1.0, 0.0625))],
)
def test_mask_features__coding_and_expected_value_of_a_missing_call(coding, expected):
    masks = [MaskConfig(name="a", classes=("any",), coding=coding)]
    assert features_of(masks, (25, 100, [(0, "plof")]))[0] == [(0, *expected)]


def test_mask_features__missing_call_adds_nothing_to_a_rare_mask():
    masks = [MaskConfig(name="a", classes=("any",), max_frequency=0.01)]
    assert features_of(masks, (1, 100, [(0, "plof")]))[0] == [(0, 1.0, 2.0, 0.0)]


def test_mask_features__coding_missing_counts_missing_calls_of_variants_in_range():
    masks = [MaskConfig(name="a", classes=("plof",), coding="missing", max_frequency=0.01)]
    one = [(3, "plof")]
    names = ("index", "missing", "missing_haploid", "reference", "het", "hom", "others_het", "haploid")
    found = features_of(
        masks, (1, 100, one), (2, 100, one), (0, 100, one), (1, 100, [(3, "synonymous")]), names=names
    )
    # Neither the one above 1 %, nor the one that nobody outside the test fold carries.
    assert found == {0: [(3, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0)]}


def test_mask_features__coding_missing_of_common_variants_and_the_rarer_allele():
    for settings in ({}, {"frequency": "minor", "max_frequency": 0.2}, {"max_allele_count": 90}):
        masks = [MaskConfig(name="a", classes=("any",), coding="missing", **settings)]
        names = ("missing", "reference", "others_reference", "hom")
        assert features_of(masks, (90, 100, [(0, "plof")]), names=names) == {0: [(1.0, 0.0, 0.0, 0.0)]}


def test_mask_features__a_variant_s_features_stand_together_by_channel_and_gene():
    masks = [MaskConfig(name="p", classes=("plof",)), MaskConfig(name="a", classes=("any",))]
    found = features_of(masks, (1, 100, [(1, "plof"), (4, "plof")]), (1, 100, [(0, "other")]))
    assert {place: [item[0] for item in items] for place, items in found.items()} == {
        0: [1, 4, 11, 14],
        1: [10],
    }


def test_mask_features__a_slice_of_a_batch():
    masks = [MaskConfig(name="a", classes=("any",))]
    batch = annotated(*((1, 100, [(gene, "plof")]) for gene in range(4))).slice(2, 1)
    (row,) = mask_features(batch, masks, N_GENES).to_pylist()
    assert (row["variant"], [item["index"] for item in row["features"]]) == (2, [2])


def test_count_by_channel__a_variant_in_two_genes_counts_once():
    rows = [(1, [0, 9, 12]), (2, [3]), (3, [35])]
    batch = pa.RecordBatch.from_pylist(
        [{"variant": one, "features": [{"index": index} for index in indices]} for one, indices in rows],
        schema=FEATURES_SCHEMA,
    )
    assert count_by_channel(batch, n_genes=10) == {0: 2, 1: 1, 3: 1}


def test_mask_variants__counts_of_all_batches():
    masks = [MaskConfig(name="p", classes=("plof",), max_frequency=0.01)]
    batches = [
        annotated((1, 100, [(3, "plof")]), (1, 100, [(4, "other")])),
        annotated((1, 100, [(5, "plof")])),
    ]
    task = mask_variants(iter(batches), masks, N_GENES)
    features = [next(task), next(task)]
    with pytest.raises(StopIteration) as end:
        next(task)
    assert (end.value.value.counting, end.value.value.meeting) == ({0: 2}, {0: 2})
    assert [batch.num_rows for batch in features] == [1, 1]


REFERENCES = ("reference", "het", "hom", "others_reference", "others_het", "others_hom")


def test_mask_features__minor_counts_the_reference_where_it_is_the_rarer_allele():
    masks = [MaskConfig(name="m", classes=("any",), frequency="minor", max_frequency=0.05)]
    found = features_of(
        masks, (98, 100, [(0, "plof")]), (2, 100, [(1, "plof")]), (50, 100, [(2, "plof")]), names=REFERENCES
    )
    # Frequency 0.02 of the reference, of which homozygotes carry two; no allele of the third is rare.
    assert found == {0: [(2.0, 1.0, 0.0, 2.0, 1.0, 0.0)], 1: [(0.0, 1.0, 2.0, 0.0, 1.0, 2.0)]}


def test_mask_features__minor_is_judged_without_a_person_s_own_alleles():
    masks = [MaskConfig(name="m", classes=("any",), frequency="minor")]
    found = features_of(masks, (50, 100, [(0, "plof")]), names=REFERENCES)
    # One half in all: the alternate allele counts. Without a reference homozygote's own alleles it is 50 of
    # 98, so that the reference is the rarer one.
    assert found == {0: [(0.0, 1.0, 2.0, 2.0, 1.0, 2.0)]}


def test_mask_features__minor_allele_count_of_others():
    masks = [MaskConfig(name="m", classes=("any",), frequency="minor", max_allele_count=1)]
    found = features_of(masks, (97, 100, [(0, "plof")]), (99, 100, [(0, "plof")]), names=REFERENCES)
    # Of three reference alleles one is left to others of who carries two. Nobody carries two of a single one.
    assert found == {0: [(0.0, 0.0, 0.0, 2.0, 0.0, 0.0)], 1: [(2.0, 1.0, 0.0, 0.0, 1.0, 0.0)]}


def test_mask_features__missing_call_expects_the_rarer_allele():
    masks = [MaskConfig(name="m", classes=("any",), frequency="minor")]
    assert features_of(masks, (75, 100, [(0, "plof")]), names=("missing",)) == {0: [(0.5,)]}


def test_mask_features__private_variants():
    masks = [MaskConfig(name="m", classes=("any",), max_allele_count=0)]
    found = features_of(masks, (1, 100, [(0, "plof")]), (2, 100, [(0, "plof")]), names=("het", *COUNTED[1:]))
    assert found == {0: [(0.0, 1.0, 0.0, 2.0)], 1: [(0.0, 0.0, 2.0, 0.0)]}


HAPLOID = ("missing", "missing_haploid", "haploid", "reference_haploid")


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, (0.5, 0.5, 2.0, 0.0)),
        ({"x_coding": "haploid"}, (0.5, 0.25, 1.0, 0.0)),
        ({"coding": "dominant"}, (0.4375, 0.25, 1.0, 0.0)),
        ({"coding": "recessive"}, (0.0625, 0.25, 1.0, 0.0)),
        ({"combine": "max"}, (0.0, 0.0, 2.0, 0.0)),
    ],
)
def test_mask_features__a_man_s_one_allele_on_x(settings, expected):
    masks = [MaskConfig(name="m", classes=("any",), **settings)]
    assert features_of(masks, (25, 100, [(0, "plof")]), names=HAPLOID) == {0: [expected]}


def test_mask_features__collapsed_states():
    names = ("collapsed", "het", "others_het")
    masks = [
        MaskConfig(name="s", classes=("any",)),
        MaskConfig(name="m", classes=("any",), combine="max"),
        MaskConfig(name="c", classes=("any",), collapse_allele_count=10),
    ]
    (features,) = features_of(masks, (11, 1000, [(0, "plof")]), names=names).values()
    collapsed = [item[0] for item in features]
    own = sum(1 << STATES.index(name) for name in ("others_het", "others_hom", "others_haploid"))
    # Eleven alleles: ten or fewer are left in others of a carrier alone.
    assert collapsed == [0, 2 ** len(STATES) - 1, own]


def with_external(batch, *frequencies):
    column = pa.array(frequencies, pa.float64())
    return pa.RecordBatch.from_arrays([*batch.columns, column], [*batch.schema.names, "external_frequency"])


def test_mask_features__external_frequency_of_a_column():
    one = [(0, "plof")]
    masks = [MaskConfig(name="m", classes=("any",), max_external_frequency=0.01)]
    batch = with_external(annotated(*[(1, 100, one)] * 3), 0.01, None, 0.02)
    # What the catalogue does not hold has no frequency there.
    assert mask_features(batch, masks, N_GENES).column("variant").to_pylist() == [0, 1]


def test_mask_features__external_frequency_of_the_rarer_allele():
    masks = [MaskConfig(name="m", classes=("any",), frequency="minor", max_external_frequency=0.01)]
    batch = with_external(annotated(*[(99, 100, [(0, "plof")])] * 3), 0.995, None, 0.5)
    assert mask_features(batch, masks, N_GENES).column("variant").to_pylist() == [0]


def test_mask_features__score_weights_and_missing_ones():
    rows = [
        {"variant": place, "allele_count": 1, "allele_number": 100,
         "consequences": [{"gene": place, "variant_class": "plof", "scores": [score], "weight": 0.5}]}
        for place, score in enumerate([0.25, None, float("nan"), -1.0])
    ]  # fmt: skip
    batch = pa.RecordBatch.from_pylist(rows, schema=ANNOTATED_SCHEMA).select(list(READ_COLUMNS))
    for score, expected in (("cadd", {0: 0.25}), ("weight", dict.fromkeys(range(4), 0.5))):
        masks = [MaskConfig(name="m", classes=("any",), weight={"score": score})]
        found = mask_features(batch, masks, N_GENES, ["cadd"]).to_pylist()
        assert {row["variant"]: row["features"][0]["het"] for row in found} == expected


def test_mask_variants__tells_conditions_and_frequency_apart():
    masks = [MaskConfig(name="p", classes=("plof",), max_frequency=0.01)]
    task = mask_variants(iter([annotated((50, 100, [(3, "plof"), (4, "plof")]))]), masks, N_GENES)
    next(task)
    with pytest.raises(StopIteration) as end:
        next(task)
    assert (end.value.value.counting, end.value.value.meeting) == ({}, {0: 1})
