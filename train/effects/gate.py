"""The gate on each gene's score: by its neighbours on the genome, by the other genes of its sets, or both."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from train.effects.columns import GeneColumns
from train.effects.neighbours import Neighbours, gate_entries
from train.effects.prior import Floats
from train.effects.sets import GeneSets, Scored, SetGate, gate_sets
from train.effects.stack import Cohort

Pairs = dict[tuple[int, int], Floats]
"""Something that was fitted without two groups of training people, by pair (ascending)."""

NO_SETS = SetGate(GeneSets((), ()), np.empty((0, 0)))


@dataclass(frozen=True)
class Gate:
    """Score r_g of each gene becomes r_g (1 + weight × n_g + Σ_s w_s (Σ_{j in s} r_j - r_g)).

    Attributes
    ----------
    neighbours, weight
        n_g is the sum of the neighbours' scores; the weight is 0 where they are left out.
    sets
        Sets s that gene g belongs to, with their weights w by fit.
    pair_weights
        Weights of the sets that were fitted without two groups.
    """

    neighbours: Neighbours | None = None
    weight: float = 0.0
    sets: SetGate = NO_SETS
    pair_weights: Pairs | None = None

    def open(self, cohort: Cohort, effect_KGC: Floats) -> GeneColumns:
        """Features behind the gate, each person's by effects and weights without their group."""
        return self._open(cohort, effect_KGC, self.sets.weight_KS)

    def open_without(
        self, cohort: Cohort, effect_KGC: Floats, pairs: Pairs
    ) -> Callable[[int], GeneColumns] | None:
        """The same for the fit without group k: no label of that group is in anybody's gate.

        Left-out scores of a person know the labels of all other groups. A fit on features behind such gates
        would know those of its own group through them, with the sign turned, and what it says of the group
        would look worse than it is.

        Parameters
        ----------
        cohort, effect_KGC
            See `open`.
        pairs
            Effects without two groups; empty: there are none, so that gates are those of `open`.
        """
        if not pairs:
            return None
        pair_weights = self.pair_weights or {}

        def columns_of(k: int) -> GeneColumns:
            effects, weights = effect_KGC.copy(), self.sets.weight_KS.copy()
            effects[cohort.n_groups] = effect_KGC[k]  # validation people: the fit does not see them
            for other in range(cohort.n_groups):
                pair = (min(k, other), max(k, other))
                if other != k:
                    effects[other] = pairs[pair]
                    if len(self.sets.sets):
                        weights[other] = pair_weights[pair]
            return self._open(cohort, effects, weights)

        return columns_of

    def scaled(self, factor: float) -> Gate:
        """All weights times a factor."""
        pair_weights = {pair: factor * weights for pair, weights in (self.pair_weights or {}).items()}
        return replace(
            self, weight=self.weight * factor, sets=self.sets.scaled(factor), pair_weights=pair_weights
        )

    def _open(self, cohort: Cohort, effect_KGC: Floats, weight_KS: Floats) -> GeneColumns:
        columns = cohort.columns
        opened = columns
        if self.neighbours is not None and self.weight:
            opened = gate_entries(columns, effect_KGC, cohort.group_M, self.neighbours, self.weight)[0]
        if len(self.sets.sets):
            scored = Scored(columns, effect_KGC, cohort.group_M)
            opened = opened.scaled(opened.value_N + gate_sets(scored, self.sets, weight_KS))
        return opened
