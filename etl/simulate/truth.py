"""truth.json: every planted thing, and the best score that anyone could reach."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import ValidationError
from sklearn.metrics import roc_auc_score

from contract.config import ConfigModel
from contract.errors import InputError, fault

TRUTH_VERSION = 2


class PersonTruth(ConfigModel):
    """One sample. Liabilities are in standard deviations of genetic plus environmental liability."""

    sample_id: str
    status: Literal["case", "control"]
    sex: Literal["female", "male"]
    reported_sex: Literal["female", "male"]
    kit: str
    batch: str
    contamination: float  # share of reads from the donor; 0 where clean
    contaminated_by: str | None
    low_quality: bool
    ancestry: str  # as configured, and as the samples table tells for most people
    ancestry_outlier: bool  # of a planted ancestry between the others
    populations: dict[str, float]  # shares of the genome
    genetic_liability: float  # gene effects alone
    predictable_liability: float  # with the shift by ancestry: all that a genome can tell
    liability: float  # with the environment; a case lies above the threshold


class RelatedPairTruth(ConfigModel):
    """Two samples of one person or family; `kinship` is the expected coefficient."""

    sample_a: str
    sample_b: str
    kind: str
    kinship: float
    declared: bool  # True where the samples table gives both the same family id


class BadVariantTruth(ConfigModel):
    """A bad variant; `group` is the status or kit it affects, where it affects one.

    Planted ones, those of loci that a kit covers badly, and those outside the capture intervals.
    `copies` are the alternate alleles that the people truly have: where they are many, few false ones hide.
    """

    kind: str
    contig: str
    position: int
    ref: str
    alt: str
    strength: float  # share of the affected people who show it
    group: str | None
    copies: int


class CausalGeneTruth(ConfigModel):
    """Liability that one allele adds, in standard deviations."""

    gene_id: str
    symbol: str
    contig: str
    start: int
    end: int
    plof_effect: float
    damaging_missense_effect: float
    other_missense_effect: float
    constraint: float  # s_het over that of the median gene


class InteractionTruth(ConfigModel):
    """Liability added in carriers of two of the genes."""

    genes: tuple[str, ...]
    effect: float


class PopulationTruth(ConfigModel):
    """The population from which cases and controls were ascertained."""

    people: int
    cases: int
    threshold: float
    genetic_variance: float
    liability_variance: float
    heritability: float  # squared correlation of genetic liability with genetic + environmental liability


class Truth(ConfigModel):
    """The whole of truth.json.

    `oracle_auroc` is the AUROC of what `oracle_knows` names. It bounds a score made from genomes alone:
    `batch_auroc`, that of the sequencing kit by itself, shows how much a model could add from artefacts.
    """

    format_version: int
    seed: int
    config: dict[str, Any]
    config_digest: str
    software: dict[str, str]
    files: dict[str, str]  # name -> SHA-256
    alleles: int
    sites: int
    genes: int
    oracle_auroc: float
    oracle_knows: str
    batch_auroc: float
    population: PopulationTruth
    people: tuple[PersonTruth, ...]
    related_pairs: tuple[RelatedPairTruth, ...]
    bad_variants: tuple[BadVariantTruth, ...]
    causal_genes: tuple[CausalGeneTruth, ...]
    interactions: tuple[InteractionTruth, ...]


def load_truth(path: str | Path) -> Truth:
    """
    Read truth.json.

    Raises
    ------
    InputError
        If the file is absent, of another version, or not a truth file.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(
            fault(path, "truth", found=f"no readable file ({error.strerror})", wanted="JSON")
        ) from None
    try:
        truth = Truth.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "whole file"
        raise InputError(fault(path, field, found=first["msg"], wanted="a simulator's truth.json")) from None
    if truth.format_version != TRUTH_VERSION:
        raise InputError(fault(path, "format_version", found=truth.format_version, wanted=str(TRUTH_VERSION)))
    return truth


def oracle_auroc(truth: Truth, sample_ids: Iterable[str] | None = None) -> float:
    """
    AUROC of the true predictable liability: the best that any score made from genomes could reach.

    Parameters
    ----------
    truth
        A simulated study.
    sample_ids
        The people to score, such as a test fold; everyone by default.

    Raises
    ------
    InputError
        If an id is unknown, or the people are not of both statuses.
    """
    by_id = {person.sample_id: person for person in truth.people}
    wanted = list(by_id) if sample_ids is None else list(sample_ids)
    unknown = [name for name in wanted if name not in by_id]
    if unknown:
        found = f"{len(unknown)} unknown ids"
        raise InputError(fault("truth", "sample_ids", found=found, wanted="simulated people"))
    is_case = np.array([by_id[name].status == "case" for name in wanted])
    if is_case.all() or not is_case.any():
        raise InputError(
            fault("truth", "sample_ids", found="people of one status only", wanted="cases and controls")
        )
    return float(roc_auc_score(is_case, [by_id[name].predictable_liability for name in wanted]))
