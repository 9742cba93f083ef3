import hail as hl
import numpy as np
import pandas as pd
import pytest

from etl.qc.unrelated import choose_unrelated


def close(*rows: tuple[str, str, float]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["first", "second", "kinship"])


def test_choose_unrelated__cases_stay_then_the_better_called():
    people = pd.DataFrame(
        {
            "sample_id": list("ABCDEF"),
            "is_case": [0, 1, 0, 0, 0, 1],
            "call_rate": [0.99, 0.95, 0.96, 0.98, 0.99, 0.99],
        }
    )
    pairs = close(("A", "B", 0.25), ("C", "D", 0.2), ("E", "F", 0.05), ("E", "gone", 0.5))
    assert choose_unrelated(people, pairs, 0.0884) == set("BDEF")


def test_choose_unrelated__the_most_related_goes_first():
    people = pd.DataFrame({"sample_id": list("ABCD"), "is_case": [0, 0, 1, 0], "call_rate": 0.9})
    # C is a relative of all others: without that case nobody else has to go.
    pairs = close(("A", "C", 0.25), ("C", "B", 0.25), ("C", "D", 0.25), ("C", "A", 0.25))
    assert choose_unrelated(people, pairs, 0.0884) == set("ABD")


@pytest.mark.usefixtures("hail_session")
def test_choose_unrelated__equals_hail():
    rng = np.random.default_rng(4)
    people = pd.DataFrame({"sample_id": [f"P{number:02d}" for number in range(60)], "is_case": 0})
    people["call_rate"] = rng.permutation(60) / 60
    drawn = {tuple(sorted(rng.choice(people["sample_id"], 2, replace=False))) for _ in range(70)}
    pairs = close(*((*pair, 0.25) for pair in sorted(drawn)))
    rank = dict(zip(people["sample_id"], people["call_rate"].rank(ascending=False), strict=True))
    table = hl.Table.parallelize(
        [hl.struct(i=hl.struct(s=i, rank=rank[i]), j=hl.struct(s=j, rank=rank[j])) for i, j in sorted(drawn)]
    )
    dropped = hl.maximal_independent_set(
        table.i, table.j, keep=False, tie_breaker=lambda left, right: left.rank - right.rank
    )
    unrelated = set(people["sample_id"]) - set(dropped.node.s.collect())
    assert 20 < len(unrelated) < 50
    assert choose_unrelated(people, pairs, 0.0884) == unrelated
