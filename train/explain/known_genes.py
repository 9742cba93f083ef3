"""Lists of known genes, and whether the top of a ranking holds more of them than chance."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import hypergeom, mannwhitneyu

from contract.errors import InputError, fault

HEADERS = {"gene", "gene_id", "symbol", "ensembl", "ensembl_gene_id", "hgnc_symbol", "name"}
ENSEMBL = re.compile(r"(ENSG\d+)(\.\d+)?(_.*)?", re.IGNORECASE)


@dataclass(frozen=True)
class TopOverlap:
    """Genes of a list among the first `top`, how many chance would put there, and how likely that many."""

    top: int
    overlap: int
    expected: float
    p: float


@dataclass(frozen=True)
class Enrichment:
    """One list against a ranking; counts are of genes in the universe.

    `rank_p` is that of Mann and Whitney's test that genes of the list stand higher; it needs no `top`.
    """

    name: str
    entries: int
    on_axis: int
    in_universe: int
    universe: int
    top: list[TopOverlap]
    rank_p: float | None


def read_gene_list(path: Path) -> list[str]:
    """Ensembl ids or symbols of a text file: the first column (tab or comma), one gene a line.

    A header line and lines that start with # are passed over; versions of Ensembl ids are cut off.

    Raises
    ------
    InputError
        If the file cannot be read as text or names no gene.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        found = f"no readable text ({error.strerror if isinstance(error, OSError) else 'a binary file'})"
        raise InputError(fault(path, "gene list", found=found, wanted="one gene a line")) from None
    words = [re.split(r"[\t,]", line)[0].strip().strip('"') for line in lines if not line.startswith("#")]
    words = [word for word in words if word]
    if words and words[0].lower().replace(" ", "_") in HEADERS:
        words = words[1:]
    if not words:
        raise InputError(fault(path, "gene list", found="no gene", wanted="one gene a line"))
    return list(dict.fromkeys(_plain(word) for word in words))


def genes_in_list(genes: pd.DataFrame, wanted: Sequence[str], path: Path) -> NDArray[np.bool_]:
    """Which genes of the axis a list names, by Ensembl id or by symbol (whatever their case).

    Raises
    ------
    InputError
        If none of the list is on the axis.
    """
    names = set(wanted)
    by_id = genes["gene_id"].map(_plain).isin(names)
    by_symbol = genes["symbol"].fillna("").str.upper().isin(names)
    listed_G = (by_id | by_symbol).to_numpy(dtype=bool)
    if not listed_G.any():
        found = f"none of its {len(names)} entries on the gene axis"
        wanted_text = "Ensembl gene ids or symbols of the dataset's genes"
        raise InputError(fault(path, "gene list", found=found, wanted=wanted_text))
    return listed_G


def overlap_of_top(
    rank_G: NDArray[np.integer[Any]], listed_G: NDArray[np.bool_], universe_G: NDArray[np.bool_], top: int
) -> TopOverlap:
    """Hypergeometric test of the overlap: `top` genes drawn without return from the universe, ranked from 1.

    Parameters
    ----------
    rank_G
        Rank of each gene; genes outside the universe are passed over, so that the next ones move up.
    listed_G
        Genes of the list.
    universe_G
        Genes that could have been ranked.
    top
        Length of the top; cut to the universe.
    """
    order = np.argsort(rank_G[universe_G], kind="stable")
    listed = listed_G[universe_G][order]
    top = min(top, len(listed))
    overlap, n_listed = int(listed[:top].sum()), int(listed.sum())
    # sf(k - 1) is P(at least k): the p-value of seeing this many or more.
    p = float(hypergeom.sf(overlap - 1, len(listed), n_listed, top))
    return TopOverlap(top, overlap, top * n_listed / max(len(listed), 1), p)


def enrich(
    path: Path,
    genes: pd.DataFrame,
    rank_G: NDArray[np.integer[Any]],
    universe_G: NDArray[np.bool_],
    tops: Sequence[int],
) -> Enrichment:
    """Read a list and compare it with the ranking; raises as `read_gene_list` and `genes_in_list` do."""
    wanted = read_gene_list(path)
    listed_G = genes_in_list(genes, wanted, path)
    inside, outside = rank_G[listed_G & universe_G], rank_G[~listed_G & universe_G]
    rank_p = (
        float(mannwhitneyu(inside, outside, alternative="less").pvalue)
        if len(inside) and len(outside)
        else None
    )
    usable = [top for top in sorted(set(tops)) if top < universe_G.sum()]
    return Enrichment(
        path.name,
        len(wanted),
        int(listed_G.sum()),
        len(inside),
        int(universe_G.sum()),
        [overlap_of_top(rank_G, listed_G, universe_G, top) for top in usable],
        rank_p,
    )


def _plain(word: str) -> str:
    """Upper case, an Ensembl id without its version."""
    found = ENSEMBL.fullmatch(word.strip())
    return (found.group(1) if found else word.strip()).upper()
