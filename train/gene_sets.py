"""Gene sets of the user's, such as pathways, placed on the gene axis of a dataset."""

from __future__ import annotations

import gzip
import hashlib
import io
import zlib
from dataclasses import dataclass

import numpy as np
import pandas as pd

from contract.errors import InputError, fault
from contract.storage import open_storage
from train.effects.sets import GeneSets

PACKED = (".gz", ".bgz")
FEWEST = 2
"""Genes on the axis that a set needs: products are of pairs."""
SETTING = "model.effects.gene_sets"
NAME_COLUMN, GENE_COLUMNS = "gene_set", ("gene_id", "symbol")


@dataclass(frozen=True)
class ReadSets:
    """Sets with at least two genes on the axis, and what the file holds beside them.

    `digest` is that of the file's content; `read` counts its sets, `genes_matched` the genes of the axis that
    it names, `by` says whether they are named by gene_id or symbol.
    """

    sets: GeneSets
    digest: str
    read: int
    genes_matched: int
    by: str

    def facts(self) -> dict[str, object]:
        """Counts and digest, for effects.json."""
        counts = {"read": self.read, "used": len(self.sets), "genes_matched": self.genes_matched}
        return {**counts, "by": self.by, "digest": self.digest}

    def line(self) -> str:
        """Counts in a sentence."""
        return (
            f"gene sets: {self.read} read, {len(self.sets)} used (two genes or more), "
            f"{self.genes_matched} genes matched by {self.by}"
        )


def read_gene_sets(path: str, genes: pd.DataFrame) -> ReadSets:
    """Read a table with columns gene_set and gene_id or symbol, or MSigDB's .gmt; either may be gzipped.

    A .csv is split at commas, other tables at tabs. Genes are looked up as gene ids, without what follows a
    dot, and as symbols; what matches more of the file counts. A symbol that several genes of the axis share
    belongs to none of them. Genes that are not on the axis are left out, repeated ones count once.

    Parameters
    ----------
    path
        File or URL.
    genes
        The gene axis: gene_id, symbol.

    Raises
    ------
    InputError
        If the file is absent or unreadable, lacks columns, names no gene of the axis, or has no set with two
        of them.
    """
    content = _content(path)
    stem = path.removesuffix(".gz").removesuffix(".bgz")
    pairs = _gmt(path, content) if stem.endswith(".gmt") else _table(path, stem, content)
    if pairs.empty:
        raise InputError(fault(path, SETTING, found="no gene set", wanted="one or more"))
    by, place = max(
        _matches(genes, pairs["gene"]).items(),
        key=lambda candidate: int(candidate[1].notna().sum()),
    )
    if not place.notna().any():
        found = f"{_some(pairs['gene'])}, none of them on the gene axis"
        wanted = f"gene ids or symbols such as {_some(genes['gene_id'])}"
        raise InputError(fault(path, f"genes ({SETTING})", found=found, wanted=wanted))
    placed = pairs.assign(place=place).dropna(subset="place").astype({"place": np.int64})
    members = {
        str(name): np.unique(of_set.to_numpy())
        for name, of_set in placed.groupby("gene_set", sort=False)["place"]
    }
    used = {name: places for name, places in members.items() if len(places) >= FEWEST}
    if not used:
        found = f"{pairs['gene_set'].nunique()} sets with fewer than {FEWEST} genes of the axis"
        raise InputError(fault(path, SETTING, found=found, wanted="a set with two of them or more"))
    return ReadSets(
        GeneSets(tuple(used), tuple(used.values())),
        hashlib.sha256(content).hexdigest()[:16],
        int(pairs["gene_set"].nunique()),
        int(placed["place"].nunique()),
        by,
    )


def _content(path: str) -> bytes:
    """The file's content, unpacked."""
    filesystem, name = open_storage(path)
    try:
        content = bytes(filesystem.cat_file(name))
        return gzip.decompress(content) if path.endswith(PACKED) else content
    except (OSError, EOFError, zlib.error) as error:
        reason = "no such file" if isinstance(error, FileNotFoundError) else f"no readable file ({error})"
    raise InputError(fault(path, SETTING, found=reason, wanted="a table of gene sets, or a .gmt"))


def _gmt(path: str, content: bytes) -> pd.DataFrame:
    """Lines of a name, a URL and genes, split by tabs."""
    rows: list[tuple[str, str]] = []
    for number, line in enumerate(_text(path, content).splitlines(), 1):
        if not line.strip():
            continue
        name, *rest = (word.strip() for word in line.split("\t"))
        if len(rest) < FEWEST:
            found = f"{len(rest) + 1} columns in line {number}"
            raise InputError(fault(path, SETTING, found=found, wanted="name, URL and genes, split by tabs"))
        rows += [(name, gene) for gene in rest[1:] if gene]
    return pd.DataFrame(rows, columns=["gene_set", "gene"])


def _table(path: str, stem: str, content: bytes) -> pd.DataFrame:
    try:
        table = pd.read_csv(
            io.StringIO(_text(path, content)),
            sep="," if stem.endswith(".csv") else "\t",
            dtype=str,
            keep_default_na=False,
            index_col=False,
        )
    except ValueError as error:  # of which pandas' own are kinds
        found, wanted = f"no readable table ({error})", "a table of gene sets"
        raise InputError(fault(path, SETTING, found=found, wanted=wanted)) from None
    gene = next((name for name in GENE_COLUMNS if name in table), None)
    if NAME_COLUMN not in table or gene is None:
        found = f"columns {', '.join(map(str, table.columns[:12]))}"
        wanted = f"{NAME_COLUMN} and {' or '.join(GENE_COLUMNS)}"
        raise InputError(fault(path, f"columns ({SETTING})", found=found, wanted=wanted))
    pairs = pd.DataFrame({"gene_set": table[NAME_COLUMN].str.strip(), "gene": table[gene].str.strip()})
    return pairs[(pairs["gene_set"] != "") & (pairs["gene"] != "")]


def _text(path: str, content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(fault(path, SETTING, found="no text", wanted="a table of gene sets")) from None


def _matches(genes: pd.DataFrame, named: pd.Series) -> dict[str, pd.Series]:
    """Place on the axis of each gene named, taken as gene ids and as symbols; NaN where there is none."""
    found: dict[str, pd.Series] = {}
    for name in GENE_COLUMNS:
        label, wanted = genes[name].reset_index(drop=True), named
        if name == "gene_id":
            label, wanted = _plain(label), _plain(named)
        label = label[label.notna() & ~label.duplicated(keep=False)]
        found[name] = wanted.map(pd.Series(label.index, index=label.to_numpy(), dtype=np.float64))
    return found


def _plain(gene_id: pd.Series) -> pd.Series:
    return gene_id.str.split(".").str[0]


def _some(values: pd.Series) -> str:
    return ", ".join(f"'{value}'" for value in values.drop_duplicates().iloc[:3])
