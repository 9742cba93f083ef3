import pandas as pd

from etl.qc.relatedness import (
    choose_duplicates,
    discordant_sets,
    find_families,
    relationship,
)


def pairs(*rows: tuple[str, str, float]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["first", "second", "kinship"])


def test_relationship__limits_of_the_classes():
    kinship = pd.Series([0.5, 0.354, 0.353, 0.177, 0.176, 0.0884, 0.0883, -0.1])
    assert relationship(kinship).tolist() == [
        "duplicate or twin",
        "duplicate or twin",
        "first degree",
        "first degree",
        "second degree",
        "second degree",
        "further",
        "further",
    ]


def test_find_families__joined_by_kinship_and_by_declaration():
    people = pd.DataFrame(
        {"sample_id": list("ABCDEF"), "declared_family": ["f1", None, None, "f1", None, None]}
    )
    close = pairs(("A", "B", 0.25), ("B", "C", 0.09), ("E", "F", 0.08), ("E", "gone", 0.25))
    # A–B–C by kinship, D by declaration; 0.08 is below the limit.
    assert find_families(people, close, 0.0884).tolist() == [0, 0, 0, 0, 1, 2]


def test_find_families__nobody_related():
    people = pd.DataFrame({"sample_id": list("AB"), "declared_family": [None, None]})
    assert find_families(people, pairs(), 0.0884).tolist() == [0, 1]


def test_find_families__rows_with_any_index():
    people = pd.DataFrame({"sample_id": list("ABC"), "declared_family": ["f", None, "f"]}, index=[7, 3, 9])
    assert find_families(people, pairs(), 0.0884).to_dict() == {7: 0, 3: 1, 9: 0}


def called(**call_rates: float) -> pd.DataFrame:
    """People by name with a call rate; all of them are female controls."""
    people = pd.DataFrame({"sample_id": list(call_rates), "call_rate": list(call_rates.values())})
    return people.assign(is_case=0, reported_sex="female")


def leaving(people: pd.DataFrame, same: pd.DataFrame, *, drop_discordant: bool = True) -> dict[str, str]:
    reasons = choose_duplicates(people, same, 0.42, drop_discordant=drop_discordant)
    return {name: text for name, text in zip(people["sample_id"], reasons, strict=True) if text}


def test_choose_duplicates__the_best_called_stays():
    same = pairs(("A", "B", 0.5), ("A", "C", 0.49), ("B", "C", 0.5), ("D", "E", 0.41))
    people = called(A=0.97, B=0.99, C=0.98, D=0.9, E=0.95)
    assert leaving(people, same) == {"A": "duplicate", "C": "duplicate"}


def test_choose_duplicates__a_chain_leaves_one():
    people = called(A=0.97, B=0.98, C=0.99)
    for same in (pairs(("A", "B", 0.5), ("B", "C", 0.5)), pairs(("B", "C", 0.5), ("A", "B", 0.5))):
        assert leaving(people, same) == {"A": "duplicate", "B": "duplicate"}


def test_choose_duplicates__a_case_that_is_also_a_control_is_a_mix_up():
    people = called(A=0.97, B=0.99, C=0.98, D=0.9, E=0.95, F=0.9)
    people["is_case"] = [1, 0, 0, 0, 1, 0]
    people["reported_sex"] = ["female", "female", "male", "female", "male", None]
    same = pairs(("A", "B", 0.5), ("C", "D", 0.5), ("E", "F", 0.5))
    other_status, other_sex = "duplicate_other_status", "duplicate_other_sex"
    # F's unknown sex differs from nothing.
    assert leaving(people, same) == {
        "A": other_status, "B": other_status, "C": other_sex, "D": other_sex,
        "E": other_status, "F": other_status,
    }  # fmt: skip
    assert discordant_sets(people, same, 0.42) == {other_status: 2, other_sex: 1}
    kept = leaving(people, same, drop_discordant=False)
    assert kept == dict.fromkeys("ADF", "duplicate")
