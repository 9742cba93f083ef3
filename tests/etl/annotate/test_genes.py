import gzip

import pytest

from contract.errors import InputError
from contract.schema import GENE_SCHEMA
from etl.annotate.config import GeneColumns, GenesConfig
from etl.annotate.genes import read_genes

GTF = """##gtf-version 2.2
chr2\tHAVANA\tgene\t50\t90\t.\t+\t.\tgene_id "ENSG00000000002.7"; gene_type "protein_coding"; gene_name "B";
chr2\tHAVANA\ttranscript\t50\t90\t.\t+\t.\tgene_id "ENSG00000000002.7"; gene_type "protein_coding";
chr10\tHAVANA\tgene\t10\t20\t.\t-\t.\tgene_id "ENSG00000000003"; gene_biotype "protein_coding"; gene_name "C";
chr1\tHAVANA\tgene\t70\t99\t.\t+\t.\tgene_id "ENSG00000000001.2"; gene_type "protein_coding";
chr1\tHAVANA\tgene\t5\t9\t.\t+\t.\tgene_id "ENSG00000000009.1"; gene_type "lncRNA"; gene_name "L";
chrM\tHAVANA\tgene\t5\t9\t.\t+\t.\tgene_id "ENSG00000000008.1"; gene_type "protein_coding"; gene_name "M";
chrUn_1\tHAVANA\tgene\t5\t9\t.\t+\t.\tgene_id "ENSG00000000007.1"; gene_type "protein_coding"; gene_name "U";
chrX\tHAVANA\tgene\t5\t9\t.\t+\t.\tgene_id "ENSG00000000002.7"; gene_type "protein_coding"; gene_name "B";
"""


@pytest.fixture
def gtf(tmp_path):
    path = tmp_path / "genes.gtf"
    path.write_text(GTF)
    return str(path)


def write_table(tmp_path, *rows):
    path = tmp_path / "genes.tsv"
    path.write_text("\n".join(["gene_id\tsymbol\tcontig\tstart\tend", *rows]) + "\n")
    return GenesConfig(path=str(path), columns=GeneColumns())


def test_read_genes__genome_order_and_contract_columns(gtf):
    genes, _ = read_genes(GenesConfig(path=gtf), "GRCh38")
    assert list(genes.columns) == GENE_SCHEMA.names
    assert genes["gene_id"].tolist() == ["ENSG00000000001", "ENSG00000000002", "ENSG00000000003"]
    assert genes["contig"].tolist() == ["chr1", "chr2", "chr10"]
    assert genes["position"].tolist() == [0, 1, 2]
    assert genes["symbol"].tolist() == [None, "B", "C"]
    assert genes[["start", "end"]].values.tolist() == [[70, 99], [50, 90], [10, 20]]


def test_read_genes__ledger_counts_what_is_left_out(gtf):
    _, ledger = read_genes(GenesConfig(path=gtf), "GRCh38")
    counts = {entry.reason: entry.count for entry in ledger}
    assert counts == {"contig outside the reference": 1, "mitochondrial": 1, "gene id repeated": 1}


def test_read_genes__contigs_take_the_style_of_the_reference(gtf):
    genes, _ = read_genes(GenesConfig(path=gtf, include_mitochondrial=True), "GRCh37")
    assert genes["contig"].tolist() == ["1", "2", "10", "MT"]


def test_read_genes__all_biotypes(gtf):
    genes, _ = read_genes(GenesConfig(path=gtf, biotypes=()), "GRCh38")
    assert "ENSG00000000009" in set(genes["gene_id"])


def test_read_genes__gzipped_gtf(tmp_path):
    path = tmp_path / "genes.gtf.gz"
    path.write_bytes(gzip.compress(GTF.encode()))
    assert len(read_genes(GenesConfig(path=str(path)), "GRCh38")[0]) == 3


def test_read_genes__ties_are_broken_by_end_and_id(tmp_path):
    config = write_table(tmp_path, "c\t\t1\t5\t9", "b\t\t1\t5\t9", "a\t\t1\t5\t10")
    assert read_genes(config, "GRCh37")[0]["gene_id"].tolist() == ["b", "c", "a"]


@pytest.mark.parametrize(("build", "n_genes"), [("37", 20314), ("38", 20011)])
def test_read_genes__ensembl_tables(shared_data, build, n_genes):
    path = shared_data / f"08_gene_tables/ensembl_genes/ensembl_grch{build}_protein_coding_genes.tsv.gz"
    config = GenesConfig(path=str(path), columns=GeneColumns(gene_id="ensgene", contig="chr"))
    genes, ledger = read_genes(config, f"GRCh{build}")
    assert len(genes) == n_genes
    assert genes["gene_id"].is_unique
    assert sum(entry.count for entry in ledger) == 13


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("a\tA\t1\tx\t9", r"genes.tsv: start: found 'x', wanted a position from 1"),
        ("a\tA\t1\t0\t9", r"genes.tsv: start: found '0', wanted a position from 1"),
        ("a\tA\t1\t9\t5", r"genes.tsv: end: found 5 before start 9, wanted start <= end"),
        ("a\tA\tpatch\t5\t9", r"genes.tsv: genes: found 1, none kept, wanted at least one"),
    ],
)
def test_read_genes__bad_rows(tmp_path, row, message):
    with pytest.raises(InputError, match=message):
        read_genes(write_table(tmp_path, row), "GRCh37")


def test_read_genes__absent_columns_are_all_told(tmp_path):
    path = tmp_path / "genes.tsv"
    path.write_text("gene_id\tstart\na\t1\n")
    with pytest.raises(InputError, match=r"column contig: found columns gene_id, start") as error:
        read_genes(GenesConfig(path=str(path), columns=GeneColumns(symbol=None)), "GRCh37")
    assert len(error.value.faults) == 2


TABLE = b"gene_id\tsymbol\tcontig\tstart\tend\na\tA\t1\t5\t9\n"
DAMAGED = gzip.compress(TABLE)[:12] + b"\xff" * 40


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("genes.tsv", b""),
        ("genes.tsv", b"gene_id\tsymbol\xff\xfe\n"),
        ("genes.tsv", TABLE + b"b\tB\t1\t5\t9\tmore\n"),
        ("genes.tsv.gz", gzip.compress(TABLE)[:-12]),
        ("genes.tsv.gz", TABLE),
        ("genes.tsv.gz", DAMAGED),
    ],
    ids=["empty", "binary", "ragged", "truncated", "not gzip", "damaged"],
)
@pytest.mark.parametrize("columns", [GeneColumns(), None], ids=["table", "gtf"])
def test_read_genes__unreadable_files(tmp_path, name, content, columns):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InputError, match=rf"{name}: (genes: found no readable file|feature: found no gene)"):
        read_genes(GenesConfig(path=str(path), columns=columns), "GRCh37")


def test_read_genes__no_such_file(tmp_path):
    with pytest.raises(InputError, match=r"absent.gtf: genes: found no readable file"):
        read_genes(GenesConfig(path=str(tmp_path / "absent.gtf")), "GRCh37")


def test_read_genes__gtf_without_genes(tmp_path):
    path = tmp_path / "transcripts.gtf"
    path.write_text('1\tx\ttranscript\t1\t5\t.\t+\t.\tgene_id "a";\n')
    with pytest.raises(InputError, match=r"feature: found no gene, wanted gene lines"):
        read_genes(GenesConfig(path=str(path)), "GRCh37")
