"""Files of gene sets, placed on the gene axis."""

import gzip
from pathlib import Path

import pandas as pd
import pytest

from contract.errors import InputError
from train.gene_sets import read_gene_sets

GENES = pd.DataFrame(
    {
        "gene_id": ["ENSG01.4", "ENSG02", "ENSG03", "ENSG04", "ENSG05"],
        "symbol": ["AAA", "BBB", None, "DDD", "DDD"],
    }
)
HEADER = "gene_set\tgene_id\n"
TABLE = f"{HEADER}one\tENSG01\none\tENSG03.9\none\tENSG03\ntwo\tENSG02\nthree\tENSG04\nthree\tENSG99\n"


def written(path: Path, text: str) -> str:
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return str(path)


def places(path: str) -> dict[str, list[int]]:
    read = read_gene_sets(path, GENES)
    return {name: genes.tolist() for name, genes in zip(read.sets.names, read.sets.genes, strict=True)}


def test_read_gene_sets__versions_are_ignored_and_small_sets_left_out(tmp_path):
    read = read_gene_sets(written(tmp_path / "sets.tsv", TABLE), GENES)
    assert places(str(tmp_path / "sets.tsv")) == {"one": [0, 2]}
    counts = {"read": 3, "used": 1, "genes_matched": 4, "by": "gene_id"}
    assert read.facts() == {**counts, "digest": read.digest}
    assert read.line() == "gene sets: 3 read, 1 used (two genes or more), 4 genes matched by gene_id"
    packed = read_gene_sets(written(tmp_path / "sets.tsv.gz", TABLE), GENES)
    assert packed.digest == read.digest


def test_read_gene_sets__symbols_of_a_csv_and_of_a_gmt(tmp_path):
    table = "symbol,gene_set\nAAA,x\nBBB,x\nDDD,x\nDDD,y\nAAA,y\n"
    # Two genes are called DDD: neither is meant for sure.
    assert places(written(tmp_path / "sets.csv", table)) == {"x": [0, 1]}
    gmt = "x\thttp://where\tAAA\tBBB\tZZZ\n\nids\t\tENSG01\tENSG02\n"
    assert places(written(tmp_path / "sets.gmt.gz", gmt)) in ({"x": [0, 1]}, {"ids": [0, 1]})
    assert places(written(tmp_path / "ids.gmt", "a\t\tENSG01\tENSG02.3\tENSG04\n")) == {"a": [0, 1, 3]}


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.tsv", "gene_set\tgene\nx\tA\n", "found columns gene_set, gene, wanted gene_set and gene_id"),
        ("a.tsv", f"{HEADER}x\tQ1\nx\tQ2\ny\tQ3\ny\tQ4\n", "found 'Q1', 'Q2', 'Q3', none of them on the"),
        ("a.tsv", f"{HEADER}x\tENSG01\ny\tENSG02\n", "found 2 sets with fewer than 2 genes of the axis"),
        ("a.tsv", HEADER, "found no gene set"),
        ("a.gmt", "name\n", "found 1 columns in line 1, wanted name, URL and genes"),
    ],
)  # fmt: skip
def test_read_gene_sets__faults(tmp_path, name: str, text: str, message: str):
    path = written(tmp_path / name, text)
    with pytest.raises(InputError, match=message) as caught:
        read_gene_sets(path, GENES)
    assert path in str(caught.value)
    assert "model.effects.gene_sets" in str(caught.value)


def test_read_gene_sets__no_file_or_a_damaged_one(tmp_path):
    with pytest.raises(InputError, match=r"absent\.tsv: model\.effects\.gene_sets: found no such file"):
        read_gene_sets(str(tmp_path / "absent.tsv"), GENES)
    (tmp_path / "a.tsv.gz").write_bytes(b"no gzip")
    with pytest.raises(InputError, match="found no readable file"):
        read_gene_sets(str(tmp_path / "a.tsv.gz"), GENES)
