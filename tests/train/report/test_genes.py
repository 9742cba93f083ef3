import numpy as np
import pandas as pd

from contract.page.panel import MAX_POINTS
from tests.train.report.example import example_genes
from train.report.genes import gene_panels, top_genes


def test_gene_panels__draws_the_highest_of_many():
    genes = example_genes(10_000)
    genome, agreement = gene_panels(genes, threshold=5.3)
    assert MAX_POINTS / 2 < len(genome.table) <= MAX_POINTS + 10
    assert genes["inclusion"].max() == genome.table["inclusion"].max()
    assert set(genes["inclusion"].nlargest(900)) <= set(genome.table["inclusion"])
    assert [shape.x0 for shape in agreement.figure.layout.shapes] == [5.3]


def test_gene_panels__by_attribution_where_there_is_no_inclusion():
    genes = example_genes(30).assign(inclusion=np.nan).drop(columns="burden_log10_p")
    (panel,) = gene_panels(genes)
    assert panel.table.columns.tolist() == ["label", "contig", "attribution"]
    assert len(panel.table) == 30
    assert gene_panels(genes.drop(columns="attribution")) == []


def test_gene_panels__names_don_t_stand_on_one_another():
    genes = pd.DataFrame({"gene_id": ["a", "b", "c"], "contig": "1", "inclusion": [0.90, 0.91, 0.3]})
    (panel,) = gene_panels(genes)
    assert list(panel.figure.data[-1].text) == ["b", "c"]


def test_top_genes__in_words_by_rank():
    genes = example_genes(40).assign(rank=np.arange(40)[::-1] + 1)
    first, second = top_genes(genes, 2)
    assert (first.rank, first.name, first.gene_id, first.contig) == (1, "GENE39", "ENSG00000000039", "chrX")
    row = genes.iloc[39]
    wanted = f"{row['inclusion']:.3f} ({row['inclusion_low']:.3f} to {row['inclusion_high']:.3f})"
    assert first.values["posterior inclusion"] == wanted
    assert first.values["burden p"] == f"{10 ** -row['burden_log10_p']:.2g}"
    assert first.values["effect, plof"] == f"{row['effect_plof']:.2f}"
    assert second.name == "GENE38"


def test_top_genes__a_gene_without_a_symbol_goes_by_its_id():
    (gene,) = top_genes(pd.DataFrame({"gene_id": ["E1"], "symbol": [None], "contig": ["1"]}), 3)
    assert (gene.name, gene.values) == ("E1", {})
