import pytest

pytest.importorskip("hail")
import hail as hl
from pyspark.sql import SparkSession
from scipy.stats import beta

from etl.aggregate.config import MaskConfig, MasksConfig
from etl.aggregate.masks import GRID, count_by_channel, features_frame, mask_channels, mask_features

N_GENES = 10
ROW = (
    "struct{locus: locus<GRCh37>, alleles: array<str>, variant: int64, allele_count: int32, "
    "allele_number: int32, consequences: array<struct{gene: int32, variant_class: str}>}"
)


def features_of(masks, *variants):
    """Features of variants given as (allele count, allele number, [(gene, class), …]), by variant."""
    content = [
        {
            "locus": hl.Locus("1", place + 1, "GRCh37"),
            "alleles": ["A", "T"],
            "allele_count": count,
            "allele_number": number,
            "variant": place,
            "consequences": None
            if consequences is None
            else [{"gene": gene, "variant_class": name} for gene, name in consequences],
        }
        for place, (count, number, consequences) in enumerate(variants)
    ]
    table = hl.Table.parallelize(content, hl.dtype(ROW), key=["locus", "alleles"])
    found = mask_features(table, masks, N_GENES).collect()
    return {
        row.locus.position - 1: [(item.index, item.het, item.hom, item.missing) for item in row.features]
        for row in found
    }


@pytest.mark.usefixtures("hail_session")
def test_mask_features__index_is_channel_times_genes_plus_gene():
    masks = [MaskConfig(name="p", classes=("plof",)), MaskConfig(name="s", classes=("synonymous", "plof"))]
    found = features_of(masks, (50, 100, [(3, "plof"), (7, "synonymous"), (8, "other")]))
    assert [item[0] for item in found[0]] == [3, 13, 17]


@pytest.mark.usefixtures("hail_session")
def test_mask_features__frequency_limits():
    masks = MasksConfig(preset="any").resolved()
    one_gene = [(0, "any")]
    found = features_of(
        masks, (1, 100, one_gene), (2, 100, one_gene), (99, 100, one_gene), (0, 0, one_gene), (1, 9, None)
    )
    # 1 % belongs to the rare mask; a variant whose reference is the rare allele is common; without any call
    # outside the test fold there is no frequency.
    assert {place: [item[0] for item in items] for place, items in found.items()} == {
        0: [0],
        1: [10],
        2: [10],
    }


@pytest.mark.usefixtures("hail_session")
def test_mask_features__allele_count_limit():
    masks = [MaskConfig(name="p", classes=("plof",), max_allele_count=5)]
    assert list(features_of(masks, (5, 10, [(0, "plof")]), (6, 1000, [(0, "plof")]))) == [0]


@pytest.mark.usefixtures("hail_session")
@pytest.mark.parametrize(
    ("coding", "expected"),
    [("additive", (1.0, 2.0, 0.5)), ("dominant", (1.0, 1.0, 0.4375)), ("recessive", (0.0, 1.0, 0.0625))],
)
def test_mask_features__coding_and_expected_value_of_a_missing_call(coding, expected):
    masks = [MaskConfig(name="a", classes=("any",), coding=coding)]
    assert features_of(masks, (25, 100, [(0, "plof")]))[0] == [(0, *expected)]


@pytest.mark.usefixtures("hail_session")
def test_mask_features__missing_call_adds_nothing_to_a_rare_mask():
    masks = [MaskConfig(name="a", classes=("any",), max_frequency=0.01)]
    assert features_of(masks, (1, 100, [(0, "plof")]))[0] == [(0, 1.0, 2.0, 0.0)]


@pytest.mark.usefixtures("hail_session")
def test_mask_features__beta_weight_of_the_minor_allele():
    masks = [MaskConfig(name="a", classes=("any",), weight="beta")]
    found = features_of(masks, (5, 100, [(0, "plof")]), (95, 100, [(0, "plof")]))
    weight = beta.pdf(0.05, 1, 25)
    for place in (0, 1):
        assert found[place][0][1:3] == pytest.approx((weight, 2 * weight), abs=1 / GRID)


def test_mask_channels__definition_tells_the_missing_rule():
    rare, common = mask_channels(MasksConfig(preset="any").resolved())
    assert (rare.name, rare.definition["max_frequency"], rare.definition["missing_call"]) == (
        "any_rare",
        0.01,
        "0",
    )
    assert common.definition["missing_call"] == "expected value at the allele frequency"


@pytest.mark.usefixtures("hail_session")
def test_count_by_channel__a_variant_in_two_genes_counts_once():
    rows = [(1, [(0,), (9,), (12,)]), (2, [(3,)]), (3, [(35,)])]
    frame = SparkSession.builder.getOrCreate().createDataFrame(
        rows, "variant bigint, features array<struct<index int>>"
    )
    assert count_by_channel(frame, n_genes=10) == {0: 2, 1: 1, 3: 1}


@pytest.mark.usefixtures("hail_session")
def test_features_frame__keeps_the_number_of_the_variant():
    table = hl.Table.parallelize(
        [{"locus": hl.Locus("1", 5, "GRCh37"), "alleles": ["A", "T"], "variant": 7, "allele_count": 1,
          "allele_number": 100, "consequences": [{"gene": 3, "variant_class": "plof"}]}],
        hl.dtype(ROW), key=["locus", "alleles"],
    )  # fmt: skip
    masks = [MaskConfig(name="p", classes=("plof",), max_frequency=0.01)]
    (row,) = features_frame(mask_features(table, masks, N_GENES)).collect()
    assert (row.variant, [tuple(item) for item in row.features]) == (7, [(3, 1.0, 2.0, 0.0)])
