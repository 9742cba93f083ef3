"""The folder reference/ of a dataset: what new people are described and judged by."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import chi2

from contract.dataset import read_genes, read_samples
from contract.manifest import Manifest
from contract.reference import (
    ANSCOMBE,
    GENES_FILE,
    LOADINGS_FILE,
    REFERENCE_FOLDER,
    Burden,
    Comparison,
    Group,
    OpenReference,
    Reference,
    VariantFile,
    copy_reference,
    person_burdens,
    write_frame,
    write_gene_text,
    write_reference,
)
from etl.config import NewPeopleConfig

DISTANCE_QUANTILE = 0.999
"""Of χ²: one in a thousand of normally distributed people is further from their own group."""

MIN_GROUP = 50
"""People; fewer tell neither a covariance nor a spread."""

LOWEST_SHARE = 0.001
"""Share of people whose call rate may be below the limit."""


@dataclass(frozen=True)
class Kept:
    """What steps before the dataset leave for the reference."""

    config: dict[str, object]
    """Of `etl.like.settings.inherited_settings`."""
    variants: list[VariantFile]
    loadings: pd.DataFrame
    """Of `etl.qc.ancestry.loading_frame`."""
    people: pd.DataFrame
    """sample_index, fold, sex, ancestry, common_call_rate and the components, of everybody in the dataset."""
    comparisons: list[Comparison]


def write_reference_folder(
    folder: str, staging: str, manifest: Manifest, kept: Kept, rules: NewPeopleConfig
) -> str:
    """Write the rest of the folder, and copy it into a dataset that is about to be published.

    Parameters
    ----------
    folder
        Folder that holds variants/ already.
    staging
        The dataset's staging folder, its samples written.
    manifest
        Of the dataset.
    kept, rules
        What is written, and which cells are small.

    Returns
    -------
    Digest of reference.json, for the manifest.
    """
    outside = kept.people[kept.people["fold"] != manifest.test_fold]
    components = [str(name) for name in kept.people.filter(regex=r"^pc\d+$")]
    weights, baseline = projection_weights(kept.loadings, components, rules.min_cell)
    genes = read_genes(staging)
    files = [
        write_frame(folder, GENES_FILE, genes),
        write_gene_text(folder, genes),
        write_frame(folder, LOADINGS_FILE, weights),
    ]
    training = [fold.index for fold in manifest.folds if fold.index != manifest.test_fold]
    samples = read_samples(staging, manifest, training, ["sample_index", "covariates", "indices", "values"])
    covariates = np.array(samples["covariates"].tolist()).reshape(len(samples), len(manifest.covariates))
    reference = Reference(
        reference_genome=manifest.reference_genome,
        config=kept.config,
        channels=manifest.channels,
        covariates=manifest.covariates,
        cohort_covariates=manifest.cohort_covariates,
        covariate_columns=manifest.covariate_columns,
        test_fold=manifest.test_fold,
        n_people=len(outside),
        n_men=int((outside["sex"] == "male").sum()),
        min_cell=rules.min_cell,
        small_cells=rules.small_cells,
        components=components,
        baseline=baseline,
        covariate_means=dict(zip(manifest.covariates, covariates.mean(axis=0).tolist(), strict=True)),
        covariate_deviations=dict(zip(manifest.covariates, covariates.std(axis=0).tolist(), strict=True)),
        groups=describe_groups(outside, components, rules.min_cell),
        burdens=describe_burdens(samples, outside, manifest),
        comparisons=kept.comparisons,
        lowest_call_rate=lowest_call_rate(outside, rules.min_cell),
        files=files,
        variants=kept.variants,
    )
    digest = write_reference(folder, reference)
    copy_reference(OpenReference(folder, digest, reference), f"{staging}/{REFERENCE_FOLDER}", files=True)
    return digest


def projection_weights(
    loadings: pd.DataFrame, components: list[str], min_cell: int
) -> tuple[pd.DataFrame, list[float]]:
    """Loadings as weights of an alternate allele, and the score of somebody who carries none.

    A score is the baseline, plus the weight of each allele carried, plus `mean` weights for a call that was
    not made. Of markers whose rarer allele fewer than `min_cell` of the fitted people may carry, the mean is
    that of half as many: exact scores of people who are called there need no more.
    """
    weights = loadings[components].div(loadings["scale"], axis=0)
    baseline = -weights.mul(loadings["mean"], axis=0).sum()
    rare = loadings["minor"] < min_cell
    minor_mean = np.minimum(loadings["mean"], 2 - loadings["mean"])
    coarse = minor_mean * (min_cell / 2) / loadings["minor"]
    coarse = coarse.where(loadings["mean"] <= 1, 2 - coarse)
    frame = loadings[["contig", "position", "ref", "alt"]].assign(mean=loadings["mean"].where(~rare, coarse))
    return pd.concat([frame, weights], axis=1), baseline.tolist()


def describe_groups(outside: pd.DataFrame, components: list[str], min_cell: int) -> list[Group]:
    """Mean and covariance of each ancestry group outside the sealed fold, and how far its people lie.

    Mixed ancestries are not normally distributed: the cut is the quantile of χ², or what all but `min_cell`
    people are within, whichever is further. A group of few people has the pooled covariance, and one of fewer
    than `min_cell` is left out.
    """
    values_MK = outside[components].to_numpy()
    if not components or len(outside) <= len(components) + min_cell:
        return []
    labels = outside["ancestry"].to_numpy()
    centred = values_MK - outside.groupby("ancestry")[components].transform("mean").to_numpy()
    pooled = np.cov(centred, rowvar=False).reshape(len(components), -1)
    groups = []
    for name, n in outside["ancestry"].value_counts().items():
        if n < min_cell:
            continue
        members = values_MK[labels == name]
        covariance = np.cov(members, rowvar=False).reshape(pooled.shape) if n >= MIN_GROUP else pooled
        steps = members - members.mean(axis=0)
        squares = np.sort(np.einsum("mk,kl,ml->m", steps, np.linalg.pinv(covariance), steps))
        groups.append(
            Group(
                name=str(name),
                n=int(n),
                mean=members.mean(axis=0).tolist(),
                covariance=covariance.tolist(),
                cut=float(max(chi2.ppf(DISTANCE_QUANTILE, len(components)), squares[-min_cell])),
            )
        )
    return groups


def describe_burdens(samples: pd.DataFrame, outside: pd.DataFrame, manifest: Manifest) -> list[Burden]:
    """Mean and spread of the root of each channel's burden, of ancestry groups and of everybody."""
    burden_MC = person_burdens(samples, len(manifest.channels), manifest.n_genes)
    ancestry = outside.set_index("sample_index")["ancestry"].loc[samples["sample_index"]].to_numpy()
    root_MC = np.sqrt(np.maximum(burden_MC, 0) + ANSCOMBE)
    found = []
    for name in (None, *sorted(set(ancestry))):
        members = root_MC if name is None else root_MC[ancestry == name]
        if len(members) < MIN_GROUP:
            continue
        found += [
            Burden(
                channel=channel.name,
                ancestry=name,
                n=len(members),
                mean=float(members[:, place].mean()),
                deviation=float(members[:, place].std()),
            )
            for place, channel in enumerate(manifest.channels)
        ]
    return found


def lowest_call_rate(outside: pd.DataFrame, min_cell: int) -> float | None:
    """What all but a thousandth, and all but fewer than `min_cell`, of people are called at."""
    known = outside["common_call_rate"].dropna() if "common_call_rate" in outside else ()
    rates = np.sort(np.asarray(known, dtype=np.float64))
    place = max(min_cell - 1, int(LOWEST_SHARE * len(rates)))
    return float(rates[place]) if place < len(rates) else None
