"""A largest set of people without relatives among them."""

from __future__ import annotations

from heapq import heapify, heappop, heappush

import pandas as pd


def choose_unrelated(people: pd.DataFrame, pairs: pd.DataFrame, min_kinship: float) -> set[str]:
    """People of a largest set without relatives; of two relatives the case stays, then the better called.

    Parameters
    ----------
    people
        sample_id, is_case, call_rate.
    pairs
        first, second, kinship.
    min_kinship
        Kinship from which two are relatives.
    """
    everybody = set(people["sample_id"])
    order = people.sort_values(["is_case", "call_rate", "sample_id"], ascending=[False, False, True])
    rank = {name: place for place, name in enumerate(order["sample_id"])}
    close = pairs[
        (pairs["kinship"] >= min_kinship) & pairs["first"].isin(everybody) & pairs["second"].isin(everybody)
    ]
    relatives: dict[str, set[str]] = {}
    for first, second in zip(close["first"], close["second"], strict=True):
        relatives.setdefault(first, set()).add(second)
        relatives.setdefault(second, set()).add(first)
    return everybody - _most_related(relatives, rank)


def _most_related(relatives: dict[str, set[str]], rank: dict[str, int]) -> set[str]:
    """People to take away so that nobody has a relative left, always one of those with most relatives.

    The rule of `hl.maximal_independent_set`; of equals the one with the highest rank goes.
    """
    queue = [(-len(others), -rank[name], name) for name, others in relatives.items()]
    heapify(queue)
    left = {name: len(others) for name, others in relatives.items()}
    dropped: set[str] = set()
    while queue:
        degree, _, name = heappop(queue)
        # An entry of a time when the person had more relatives: another one stands for it now.
        if name in dropped or left[name] != -degree or degree == 0:
            continue
        dropped.add(name)
        for other in relatives[name] - dropped:
            left[other] -= 1
            heappush(queue, (-left[other], -rank[other], other))
    return dropped
