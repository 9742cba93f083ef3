"""One row per gene: what the model, its refits and the burden tests say, and where the gene lies."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from contract.schema import GENE_SCHEMA
from train.bundle import Bundle
from train.explain.burden import Burden
from train.explain.ranking import Refits, interval, rank_genes
from train.explain.totals import Totals

Values = NDArray[np.float64]


def gene_table(bundle: Bundle, totals: Totals, burden: Burden, refits: Refits | None) -> pd.DataFrame:
    """Genes in the order of the axis.

    Columns: position, gene_id, symbol, contig, start, end; genome_position (contigs laid end to end, for
    plots); varies (in the training folds); rank with rank_low and rank_high; inclusion and attribution, each
    with _low and _high; burden_log10_p (-log10 p over channels); and for each channel effect_ (posterior mean
    per allele, where the model has it), attribution_ (mean |attribution|), signed_ (mean attribution), slope_
    (logit per allele as the attributions have it), burden_log10_p_ and burden_effect_ (log odds ratio per
    allele). Intervals of inclusion are over refits, those of attribution over folds of people, those of ranks
    over refits where there are any, else over folds. nan: unknown.
    """
    genes = bundle.genes
    channels = [channel.name for channel in bundle.facts.channels]
    inclusion_G, attribution_G = inclusion_of(bundle, refits), totals.gene_G()
    by_fold_FG = totals.gene_by_fold_FG()
    unknown_G = np.full(len(genes), np.nan)
    inclusion = interval(refits.inclusion_RG) if refits else (unknown_G, unknown_G)
    attribution = interval(by_fold_FG)
    rank_RG = refits.rank_RG() if refits else np.array([rank_genes(None, value_G) for value_G in by_fold_FG])
    ranks = interval(rank_RG)
    table = genes[GENE_SCHEMA.names].assign(
        genome_position=genome_position(genes),
        varies=(bundle.scaler.factor_F.reshape(len(channels), -1) != 0).any(axis=0),
        rank=rank_genes(inclusion_G, attribution_G),
        rank_low=ranks[0],
        rank_high=ranks[1],
        inclusion=unknown_G if inclusion_G is None else inclusion_G,
        inclusion_low=inclusion[0],
        inclusion_high=inclusion[1],
        attribution=attribution_G,
        attribution_low=attribution[0],
        attribution_high=attribution[1],
        burden_log10_p=burden.log10_p_G,
    )
    by_channel = {
        "effect": effects_of(bundle, refits),
        "attribution": totals.mean_absolute_CG(),
        "signed": totals.mean_signed_CG(),
        "slope": totals.slope_CG() * bundle.scaler.factor_F.reshape(len(channels), -1),
        "burden_log10_p": burden.log10_p_CG,
        "burden_effect": burden.effect_CG,
    }
    columns = {
        f"{measure}_{channel}": value_CG[row]
        for measure, value_CG in by_channel.items()
        if value_CG is not None
        for row, channel in enumerate(channels)
    }
    whole: pd.DataFrame = pd.concat([table, pd.DataFrame(columns, index=table.index)], axis=1)
    return whole


def inclusion_of(bundle: Bundle, refits: Refits | None) -> Values | None:
    """Posterior inclusion of each gene: the bundle's, else the mean over refits; null without either."""
    if "inclusion" in bundle.genes:
        return bundle.genes["inclusion"].to_numpy(dtype=np.float64)
    return None if refits is None else np.asarray(refits.inclusion_RG.mean(axis=0))


def effects_of(bundle: Bundle, refits: Refits | None) -> Values | None:
    """Posterior mean effects per allele, channels × genes, from the same source as inclusions."""
    names = [f"effect_{channel.name}" for channel in bundle.facts.channels]
    if all(name in bundle.genes for name in names):
        return np.asarray(bundle.genes[names].to_numpy(dtype=np.float64).T)
    return None if refits is None else np.asarray(refits.effect_RCG.mean(axis=0))


def genome_position(genes: pd.DataFrame) -> NDArray[np.int64]:
    """Start of each gene on an axis that lays contigs end to end, in the order of the gene axis."""
    lengths = genes.groupby("contig", sort=False)["end"].max()
    starts = lengths.cumsum() - lengths
    return np.asarray(genes["start"] + genes["contig"].map(starts), dtype=np.int64)
