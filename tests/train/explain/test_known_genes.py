from math import comb
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import mannwhitneyu

from contract.errors import InputError
from train.explain.known_genes import enrich, genes_in_list, overlap_of_top, read_gene_list


def axis(n: int) -> pd.DataFrame:
    return pd.DataFrame(
        {"gene_id": [f"ENSG{i:011d}" for i in range(n)], "symbol": [f"GENE{i}" for i in range(n)]}
    )


def test_overlap_of_top__hypergeometric_by_hand() -> None:
    # 10 genes, one of them outside the universe; 4 listed in it, 3 of them among the first 5 of 9.
    rank_G = np.arange(1, 11)
    universe_G = np.ones(10, bool)
    universe_G[2] = False
    listed_G = np.isin(np.arange(10), [0, 1, 2, 4, 8])
    found = overlap_of_top(rank_G, listed_G, universe_G, 5)
    wanted = sum(comb(4, k) * comb(5, 5 - k) for k in (3, 4)) / comb(9, 5)
    assert (found.top, found.overlap) == (5, 3)
    assert found.p == pytest.approx(wanted)
    assert found.expected == pytest.approx(5 * 4 / 9)


def test_read_gene_list__headers_comments_versions_and_columns(tmp_path: Path) -> None:
    path = tmp_path / "known.csv"
    path.write_text('# from a paper\nGene,Description\nENSG00000099381.15,"a, b"\n\nsetd1a\nSETD1A\n')
    assert read_gene_list(path) == ["ENSG00000099381", "SETD1A"]


def test_genes_in_list__ids_and_symbols_whatever_their_case() -> None:
    genes = axis(4)
    genes.loc[3, "symbol"] = None
    listed_G = genes_in_list(genes, ["ENSG00000000003", "GENE1", "OTHER"], Path("x"))
    assert listed_G.tolist() == [False, True, False, True]


def test_genes_in_list__none_on_the_axis() -> None:
    with pytest.raises(
        InputError, match=r"x: gene list: found none of its 1 entries on the gene axis, wanted"
    ):
        genes_in_list(axis(4), ["SETD1A"], Path("x"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"gene\n", "found no gene, wanted one gene a line"),
        (b"\xff\xfe\x00\x01\x80", r"found no readable text \(a binary file\)"),
        (None, r"found no readable text \(No such file or directory\)"),
    ],
)
def test_read_gene_list__unusable(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "list.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=message):
        read_gene_list(path)


def test_enrich__rank_test_and_tops(tmp_path: Path) -> None:
    (tmp_path / "known.txt").write_text("GENE3\nGENE0\nGENE9\nELSEWHERE\n")
    rank_G = np.random.default_rng(4).permutation(12) + 1
    universe_G = np.arange(12) != 9
    found = enrich(tmp_path / "known.txt", axis(12), rank_G, universe_G, (2, 5, 50))
    assert (found.entries, found.on_axis, found.in_universe, found.universe) == (4, 3, 2, 11)
    assert [each.top for each in found.top] == [2, 5]
    inside, outside = rank_G[[3, 0]], rank_G[[1, 2, 4, 5, 6, 7, 8, 10, 11]]
    assert found.rank_p == pytest.approx(mannwhitneyu(inside, outside, alternative="less").pvalue)


def test_enrich__real_lists_on_the_real_axis(shared_data: Path) -> None:
    folder = shared_data / "08_gene_tables"
    table = pd.read_csv(folder / "ensembl_genes" / "ensembl_grch38_protein_coding_genes.tsv.gz", sep="\t")
    genes = pd.DataFrame({"gene_id": table["ensgene"], "symbol": table["symbol"]}).drop_duplicates("gene_id")
    loeuf = pd.read_csv(
        folder / "gnomad_v2.1.1_constraint" / "gnomad_v2.1.1_lof_metrics_by_gene.tsv.gz",
        sep="\t",
        usecols=["gene_id", "oe_lof_upper"],
    ).drop_duplicates("gene_id")
    value_G = genes["gene_id"].map(loeuf.set_index("gene_id")["oe_lof_upper"]).fillna(9).to_numpy()
    rank_G = value_G.argsort(kind="stable").argsort() + 1
    everything_G = np.ones(len(genes), bool)
    lists = folder / "macarthur_gene_lists"
    haploinsufficient = enrich(
        lists / "clingen_level3_genes_2018_09_13.tsv", genes, rank_G, everything_G, (200, 2000)
    )
    smell = enrich(lists / "olfactory_receptors.tsv", genes, rank_G, everything_G, (200, 2000))
    assert haploinsufficient.on_axis > 280
    assert haploinsufficient.top[1].p < 1e-50
    assert smell.top[1].overlap < smell.top[1].expected
    assert smell.rank_p > 0.99
