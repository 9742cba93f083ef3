"""Two tables about genes: the capture intervals, and how constrained each gene is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import chi2

from etl.simulate.config import SimulateConfig
from etl.simulate.loci import Locus
from etl.simulate.reference import contig_name
from etl.simulate.rng import generator

MEDIAN_S_HET = 0.01
"""Of protein-coding genes; 0.01 to 0.02 in Cassa et al. 2017 (Nat. Genet. 49:806) and Zeng et al. 2024."""

EXPECTED_PLOF_PER_BASE = 0.012
"""pLoF variants that a catalogue of 140,000 exomes would hold without selection, by coding base pair: 17 in a
median gene of gnomAD v2 (Karczewski et al. 2020)."""

HALVING_S_HET = 0.02
"""Selection at which half of these variants are missing."""


def write_targets(loci: list[Locus], config: SimulateConfig, path: Path) -> None:
    """Capture intervals as BED (from 0, open end): exons with their flanks, and all markers on target."""
    lines = [
        f"{contig_name(config.reference_genome, locus.chromosome)}\t{start - 1}\t{end}\n"
        for locus in loci
        if not locus.off_target
        for start, end in locus.captured()
    ]
    path.write_text("".join(lines))


def write_constraint(loci: list[Locus], config: SimulateConfig, path: Path) -> None:
    """Gene constraint, tab-separated: gene_id, symbol, s_het, and LOEUF as a catalogue of people shows it.

    LOEUF is the upper end of a 90 % interval of observed over expected pLoF variants, the observed ones drawn
    from a Poisson distribution.
    """
    genes = [locus for locus in loci if locus.is_gene]
    s_het = MEDIAN_S_HET * np.array([gene.constraint for gene in genes])
    expected = EXPECTED_PLOF_PER_BASE * np.array([gene.coding_length for gene in genes])
    observed = generator(config.seed, "constraint table").poisson(
        expected * HALVING_S_HET / (HALVING_S_HET + s_het)
    )
    table = pd.DataFrame(
        {
            "gene_id": [gene.gene_id for gene in genes],
            "symbol": [gene.symbol for gene in genes],
            "s_het": s_het.round(6),
            "loeuf": (chi2.ppf(0.95, 2 * (observed + 1)) / 2 / expected).round(4),
        }
    )
    table.to_csv(path, sep="\t", index=False, lineterminator="\n")
