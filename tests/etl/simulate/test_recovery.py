"""Scores of a run of quality control, on a truth of a few people and variants."""

from collections.abc import Sequence

import pandas as pd
import pytest

from etl.simulate import Truth
from etl.simulate.power import detection_power
from etl.simulate.recovery import Findings, recovered_defects, specificity
from etl.simulate.truth import BadVariantTruth, PersonTruth, RelatedPairTruth


def bad(
    kind: str, position: int, strength: float, group: str | None = None, copies: int = 0
) -> BadVariantTruth:
    return BadVariantTruth(
        kind=kind,
        contig="chr1",
        position=position,
        ref="A",
        alt="C",
        strength=strength,
        group=group,
        copies=copies,
    )


def truth_with(
    people: Sequence[PersonTruth], variants: Sequence[BadVariantTruth], pairs: Sequence[RelatedPairTruth] = ()
) -> Truth:
    return Truth.model_construct(
        people=tuple(people), bad_variants=tuple(variants), related_pairs=tuple(pairs), alleles=100
    )


def person(number: int, **changes: object) -> PersonTruth:
    settings = {
        "sample_id": f"P{number}",
        "status": "case" if number % 2 else "control",
        "sex": "female",
        "reported_sex": "female",
        "kit": f"kit{number // 2 % 2}",
        "batch": f"wave{number // 2 % 2}",
        "contamination": 0.0,
        "contaminated_by": None,
        "low_quality": False,
        "ancestry": "european",
        "ancestry_outlier": False,
        "populations": {"european": 1.0},
        "genetic_liability": 0.0,
        "predictable_liability": 0.0,
        "liability": 0.0,
    }
    return PersonTruth.model_validate({**settings, **changes})


def findings(
    people: Sequence[PersonTruth], reasons: dict[str, str], dropped: dict[int, list[str]]
) -> Findings:
    names = [one.sample_id for one in people]
    return Findings(
        person_reasons=pd.Series([reasons.get(name, "") for name in names], index=names),
        pairs=pd.DataFrame({"first": ["P8"], "second": ["P9"], "kinship": [0.49]}),
        dropped_variants=pd.DataFrame(
            {
                "contig": "chr1",
                "position": list(dropped),
                "ref": "A",
                "alt": "C",
                "reasons": list(dropped.values()),
            }
        ),
    )


PEOPLE = [
    person(0, reported_sex="male"),
    person(1, reported_sex="male"),
    person(2, contamination=0.1),
    person(3, ancestry_outlier=True),
    person(4, ancestry_outlier=True, low_quality=True),
    *(person(number) for number in range(5, 40)),
]
PAIR = RelatedPairTruth(sample_a="P8", sample_b="P9", kind="duplicate", kinship=0.5, declared=False)


def test_recovered_defects__counts_by_kind():
    variants = [bad("failed_filter", 10, 1.0), bad("failed_filter", 11, 1.0)]
    told = {"P0": "sex_mismatch", "P2": "contamination", "P3": "outlier_ancestry", "P4": "mean_dp,call_rate"}
    found = recovered_defects(
        truth_with(PEOPLE, variants, [PAIR]),
        findings(PEOPLE, told, {10: ["filter_not_pass"]}),
        min_kinship=0.0884,
        min_duplicate=0.42,
    )
    assert dict(zip(found["kind"], zip(found["planted"], found["found"], strict=True), strict=True)) == {
        "person: sex error": (2, 1),
        "person: contaminated": (1, 1),
        "person: low quality": (1, 1),
        "person: ancestry outlier": (1, 1),  # the other one had left before
        "pair: duplicate": (1, 1),
        "variant: failed filter": (2, 1),
    }


def test_recovered_defects__weak_variants_are_a_row_of_their_own():
    variants = [bad("low_call_rate", 10, 0.5), bad("low_call_rate", 11, 0.031)]
    found = recovered_defects(
        truth_with(PEOPLE, variants),
        findings(PEOPLE, {}, {10: ["call_rate"]}),
        min_kinship=0.1,
        min_duplicate=0.4,
    )
    rows = found.set_index("kind")
    assert rows.loc["variant: low call rate"].tolist() == [1, 1]
    assert rows.loc["variant: low call rate, too weak to be sure"].tolist() == [1, 0]


def test_specificity__clean_people_and_variants():
    told = {"P0": "sex_mismatch", "P6": "outlier_r_ti_tv", "P8": "duplicate"}
    dropped = {10: ["call_rate"], 20: ["hwe", "call_rate"], 30: ["monomorphic"]}
    score = specificity(
        truth_with(PEOPLE, [bad("failed_filter", 10, 1.0)], [PAIR]), findings(PEOPLE, told, dropped), 100
    )
    assert (score.people_clean, score.people_wrong) == (33, 1), "duplicates are not clean"
    assert (score.variants_clean, score.variants_wrong) == (99, 1), "without carriers a variant may go"
    groups = score.people_by_group.set_index("group")
    assert groups.loc["batch wave1"].tolist() == [18, 1]
    assert score.reasons == {"outlier_r_ti_tv": 1, "hwe": 1, "call_rate": 1}


@pytest.mark.parametrize(
    ("strength", "copies", "low", "high"),
    [(0.5, 0, 0.999, 1.0), (0.02, 0, 0.0, 0.01), (0.15, 600, 0.0, 0.9)],
)
def test_detection_power__batch_artefacts(strength: float, copies: int, low: float, high: float):
    people = [person(number) for number in range(1_000)]
    variant = bad("batch_artefact", 1, strength, "kit0", copies)
    (power,) = detection_power(truth_with(people, [variant]))
    assert low <= power <= high


def test_detection_power__excess_heterozygotes_by_strength():
    people = [person(number) for number in range(1_000)]
    variants = [bad("excess_heterozygotes", 1, strength) for strength in (0.2, 0.45, 0.9)]
    power = detection_power(truth_with(people, variants))
    assert power == sorted(power)
    assert power[0] < 0.1
    assert power[2] > 0.999
