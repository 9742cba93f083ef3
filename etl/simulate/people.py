"""The people of the study: who is sequenced how, what the samples table says, and which samples are bad."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from etl.simulate.config import SimulateConfig
from etl.simulate.pedigree import KINDS, KINSHIP, Pedigree
from etl.simulate.rng import generator

SAMPLE_DEFECTS = ("none", "sex_error", "contaminated", "low_quality")


@dataclass(frozen=True)
class RelatedPair:
    """Two samples of one family unit, as places in the study's order."""

    first: int
    second: int
    kind: str
    declared: bool


@dataclass(frozen=True)
class People:
    """
    The samples in file order, one entry each.

    `person` is the place in the study's pedigree; `donor` the place of the sample that contaminates this
    one, -1 for none; `depth` the expected reads at a site of average coverage; `ancestry` a place among the
    configured ones.
    """

    sample_id: np.ndarray
    person: np.ndarray
    is_case: np.ndarray
    female: np.ndarray
    sex_error: np.ndarray
    kit: np.ndarray
    depth: np.ndarray
    missing_rate: np.ndarray
    contamination: np.ndarray
    donor: np.ndarray
    low_quality: np.ndarray
    family_id: np.ndarray
    age: np.ndarray
    ancestry: np.ndarray
    reported_ancestry: np.ndarray
    pairs: tuple[RelatedPair, ...]

    def __len__(self) -> int:
        return len(self.sample_id)

    @property
    def reported_sex(self) -> np.ndarray:
        """`male` or `female` as the samples table says it, wrong for the planted sex errors."""
        return np.where(self.female ^ self.sex_error, "female", "male")


def sample_people(config: SimulateConfig, study: Pedigree, is_case: np.ndarray) -> People:
    """
    Sequence the study's people.

    Parameters
    ----------
    config
        Kits, defects, read model.
    study
        Pedigree of the chosen units.
    is_case
        Status of its visible people, in order.
    """
    rng = generator(config.seed, "people")
    person, unit, kind, status = _samples(rng, study, is_case)
    pairs = _pairs(rng, unit, kind, config.relatives.declared_share)
    n = len(person)
    ancestry = study.ancestry[person]
    kit = _assign_kits(rng, status, ancestry, config)
    depth = np.array([k.mean_depth for k in config.kits])[kit] * np.exp(
        rng.normal(0, config.sequencing.person_depth_sigma, n)
    )
    defect = _defects(rng, kind == KINDS.index("single"), config)
    contaminated, low_quality = (
        defect == SAMPLE_DEFECTS.index(name) for name in ("contaminated", "low_quality")
    )
    planted = config.sample_defects
    low, high = sorted((planted.contamination_low, planted.contamination_high))
    missing_rate = np.array([k.missing_rate for k in config.kits])[kit]
    return People(
        sample_id=np.array([f"S{i + 1:06d}" for i in range(n)]),
        person=person,
        is_case=status,
        female=study.female[person],
        sex_error=defect == SAMPLE_DEFECTS.index("sex_error"),
        kit=kit,
        depth=np.where(low_quality, planted.low_quality_depth, depth),
        missing_rate=np.where(low_quality, planted.low_quality_missing_rate, missing_rate),
        contamination=np.where(contaminated, rng.uniform(low, high, n), 0.0),
        donor=np.where(contaminated, (np.arange(n) + rng.integers(1, n, n)) % n, -1),
        low_quality=low_quality,
        family_id=_family_ids(n, pairs),
        age=rng.integers(18, 76, n),
        ancestry=ancestry,
        reported_ancestry=_reported_ancestry(rng, ancestry, config),
        pairs=pairs,
    )


def new_people(people: People, config: SimulateConfig) -> np.ndarray:
    """Who is written as another cohort: the last of the people without relatives and defects; booleans."""
    in_pairs = {place for pair in people.pairs for place in (pair.first, pair.second)}
    alone = ~np.isin(np.arange(len(people)), [*in_pairs, *people.donor])
    clean = np.flatnonzero(alone & ~people.sex_error & (people.contamination == 0) & ~people.low_quality)
    chosen = np.zeros(len(people), dtype=bool)
    chosen[clean[len(clean) - config.new_people :]] = True
    return chosen


def write_samples(people: People, config: SimulateConfig, path: Path) -> None:
    """The samples table, tab-separated; `NA` where nothing is known. It tells nothing of the truth.

    That of people who are another cohort is new_samples.tsv beside it; it has no status.
    """
    table = pd.DataFrame(
        {
            "sample_id": people.sample_id,
            "status": np.where(people.is_case, "case", "control"),
            "sex": people.reported_sex,
            "batch": [config.kits[k].batch for k in people.kit],
            "kit": [config.kits[k].name for k in people.kit],
            "family_id": people.family_id,
            "age": people.age,
            "ancestry": people.reported_ancestry,
        }
    )
    apart = new_people(people, config)
    table[~apart].to_csv(path, sep="\t", index=False, lineterminator="\n")
    if apart.any():
        unlabelled = table[apart].drop(columns="status")
        unlabelled.to_csv(path.with_name("new_samples.tsv"), sep="\t", index=False, lineterminator="\n")


def _samples(
    rng: np.random.Generator, study: Pedigree, is_case: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Person, unit, kind and status of each sample, shuffled; duplicates come twice."""
    visible = np.flatnonzero(study.visible)
    copies = np.where(study.kind[visible] == KINDS.index("duplicate"), 2, 1)
    order = rng.permutation(np.repeat(np.arange(len(visible)), copies))
    person = visible[order]
    return person, study.unit[person], study.kind[person], is_case[order]


def _pairs(
    rng: np.random.Generator, unit: np.ndarray, kind: np.ndarray, declared_share: float
) -> tuple[RelatedPair, ...]:
    pairs = []
    for family in np.unique(unit[kind != KINDS.index("single")]):
        first, second = (int(i) for i in np.flatnonzero(unit == family))
        name = KINDS[kind[first]]
        declared = name != "duplicate" and rng.random() < declared_share
        pairs.append(RelatedPair(first, second, name, bool(declared)))
    return tuple(pairs)


def kinship(pair: RelatedPair) -> float:
    """Expected kinship coefficient of a planted pair (0.5 for the same person)."""
    return KINSHIP[pair.kind]


def _assign_kits(
    rng: np.random.Generator, is_case: np.ndarray, ancestry: np.ndarray, config: SimulateConfig
) -> np.ndarray:
    """Kit of each person, by status and ancestry."""
    names = [kind.name for kind in config.population.ancestries]
    weight = np.array([[kit.ancestry_weights.get(name, 1.0) for kit in config.kits] for name in names])
    by_status = np.array(
        [[getattr(kit, f"{side}_share") for kit in config.kits] for side in ("control", "case")]
    )
    chance = by_status[is_case.astype(int)] * weight[ancestry]
    edges = np.cumsum(chance / chance.sum(axis=1, keepdims=True), axis=1)[:, :-1]
    return (rng.random((len(is_case), 1)) > edges).sum(axis=1)


def _defects(rng: np.random.Generator, single: np.ndarray, config: SimulateConfig) -> np.ndarray:
    """A place in `SAMPLE_DEFECTS` for each sample; planted in unrelated people only."""
    settings = config.sample_defects
    shares = (settings.sex_error_share, settings.contaminated_share, settings.low_quality_share)
    counts = [round(share * len(single)) for share in shares]
    candidates = rng.permutation(np.flatnonzero(single))
    labels = np.repeat([1, 2, 3], counts)[: len(candidates)]
    defect = np.zeros(len(single), dtype=int)
    defect[candidates[: len(labels)]] = labels
    off = [SAMPLE_DEFECTS.index(name) for name in settings.switched_off]
    return np.where(np.isin(defect, off), 0, defect)


def _family_ids(n: int, pairs: tuple[RelatedPair, ...]) -> np.ndarray:
    family_id = np.full(n, "NA", dtype=object)
    for number, pair in enumerate((pair for pair in pairs if pair.declared), start=1):
        family_id[[pair.first, pair.second]] = f"F{number:05d}"
    return family_id


def _reported_ancestry(rng: np.random.Generator, ancestry: np.ndarray, config: SimulateConfig) -> np.ndarray:
    """Self-reported group, missing for a fiftieth of the people."""
    reported = np.array([kind.name for kind in config.population.ancestries], dtype=object)[ancestry]
    reported[rng.random(len(ancestry)) < 0.02] = "NA"
    return reported
