"""Genes and their parts as intervals, of GTF, GFF3 and BED files."""

import gzip
from pathlib import Path

import pandas as pd
import pytest

from contract.errors import InputError
from etl.annotate.config import AnnotationConfig, GeneColumns, GenesConfig
from etl.annotate.consequence import Site
from etl.annotate.genes import read_genes
from etl.annotate.intervals import read_parts
from etl.annotate.variants import Sources, make_annotator
from etl.genome import genome

GTF = """\
1\tx\tgene\t100\t500\t.\t+\t.\tgene_id "ENSG1.3"; gene_name "A"; gene_type "protein_coding";
1\tx\ttranscript\t100\t500\t.\t+\t.\tgene_id "ENSG1.3"; transcript_id "T1"; gene_type "protein_coding";
1\tx\texon\t100\t200\t.\t+\t.\tgene_id "ENSG1.3"; transcript_id "T1"; gene_type "protein_coding";
1\tx\texon\t400\t500\t.\t+\t.\tgene_id "ENSG1.3"; transcript_id "T1"; gene_type "protein_coding";
1\tx\tCDS\t150\t200\t.\t+\t0\tgene_id "ENSG1.3"; transcript_id "T1"; gene_type "protein_coding";
1\tx\tgene\t180\t300\t.\t-\t.\tgene_id "ENSG2"; gene_name "B"; gene_type "protein_coding";
1\tx\texon\t180\t300\t.\t-\t.\tgene_id "ENSG2"; transcript_id "T2"; gene_type "protein_coding";
1\tx\tCDS\t190\t250\t.\t-\t0\tgene_id "ENSG2"; transcript_id "T2"; gene_type "protein_coding";
1\tx\tgene\t100\t500\t.\t+\t.\tgene_id "ENSG3"; gene_type "lncRNA";
1\tx\texon\t100\t500\t.\t+\t.\tgene_id "ENSG3"; transcript_id "T3"; gene_type "lncRNA";
"""
GFF3 = """\
##gff-version 3
1\tx\tgene\t100\t500\t.\t+\t.\tID=gene:ENSG1;Name=A;biotype=protein_coding;gene_id=ENSG1;version=3
1\tx\tmRNA\t100\t500\t.\t+\t.\tID=transcript:T1;Parent=gene:ENSG1;biotype=protein_coding
1\tx\texon\t100\t200\t.\t+\t.\tParent=transcript:T1;Name=E1
1\tx\texon\t400\t500\t.\t+\t.\tParent=transcript:T1;Name=E2
1\tx\tCDS\t150\t200\t.\t+\t0\tID=CDS:P1;Parent=transcript:T1
1\tx\tgene\t180\t300\t.\t-\t.\tID=gene:ENSG2;Name=B;biotype=protein_coding;gene_id=ENSG2
1\tx\tmRNA\t180\t300\t.\t-\t.\tID=transcript:T2;Parent=gene:ENSG2;biotype=protein_coding
1\tx\texon\t180\t300\t.\t-\t.\tParent=transcript:T2
1\tx\tCDS\t190\t250\t.\t-\t0\tID=CDS:P2;Parent=transcript:T2
1\tx\tncRNA_gene\t100\t500\t.\t+\t.\tID=gene:ENSG3;biotype=lncRNA;gene_id=ENSG3
1\tx\tlnc_RNA\t100\t500\t.\t+\t.\tID=transcript:T3;Parent=gene:ENSG3;biotype=lncRNA
1\tx\texon\t100\t500\t.\t+\t.\tParent=transcript:T3
"""
BED = "track name=x\nchr1\t99\t200\tENSG1.3\nchr1\t399\t500\tENSG1.3\nchr1\t179\t300\tB\n"


def genes_at(path: Path, *positions: int, **config: object) -> list[list[str]]:
    genes_config = GenesConfig(path=str(path))
    genes, _ = read_genes(genes_config, "GRCh37")
    settings = AnnotationConfig(kind="intervals", **config)
    parts = read_parts(settings, genes_config, genes, genome("GRCh37"))
    annotator = make_annotator(genes, settings, genome("GRCh37"), sources=Sources(intervals=parts))
    sites = [Site("1", position, "A", "T", ["A", "T"], 1, None) for position in positions]
    return [[genes["gene_id"][one.gene] for one in annotator(site)] for site in sites]


@pytest.fixture(params=["gtf", "gff3", "gff3.gz"])
def gene_file(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    text = GTF if request.param == "gtf" else GFF3
    path = tmp_path / f"genes.{request.param}"
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


PLACES = (99, 100, 149, 150, 185, 195, 260, 350, 400)


@pytest.mark.parametrize(
    ("features", "expected"),
    [
        ("gene", ["", "1", "1", "1", "12", "12", "12", "1", "1"]),
        ("exon", ["", "1", "1", "1", "12", "12", "2", "", "1"]),
        ("CDS", ["", "", "", "1", "1", "12", "", "", ""]),
    ],
)
def test_intervals__genes_exons_and_coding_sequences(gene_file, features, expected):
    found = genes_at(gene_file, *PLACES, features=features)
    assert ["".join(name.removeprefix("ENSG") for name in one) for one in found] == expected


def test_intervals__bed_with_several_of_each_gene(tmp_path: Path):
    path = tmp_path / "genes.bed"
    path.write_text(BED)
    assert genes_at(path, 99, 100, 200, 201, 350, 400) == [
        [], ["ENSG1"], ["ENSG1", "B"], ["B"], [], ["ENSG1"],
    ]  # fmt: skip
    genes, _ = read_genes(GenesConfig(path=str(path)), "GRCh38")
    assert genes[["gene_id", "symbol", "contig", "start", "end"]].values.tolist() == [
        ["ENSG1", None, "chr1", 100, 500],
        ["B", "B", "chr1", 180, 300],
    ]


def test_intervals__a_deletion_that_reaches_into_an_exon(tmp_path: Path):
    path = tmp_path / "genes.gtf"
    path.write_text(GTF)
    config = GenesConfig(path=str(path))
    genes, _ = read_genes(config, "GRCh37")
    settings = AnnotationConfig(kind="intervals", features="exon")
    parts = read_parts(settings, config, genes, genome("GRCh37"))
    annotator = make_annotator(genes, settings, genome("GRCh37"), sources=Sources(intervals=parts))
    found = [annotator(Site("1", position, "ACGT", "A", ["ACGT", "A"], 1, None)) for position in (396, 397)]
    assert [len(one) for one in found] == [0, 1]


def test_read_parts__of_a_gene_table(tmp_path: Path):
    path = tmp_path / "genes.tsv"
    path.write_text("gene_id\tsymbol\tcontig\tstart\tend\nENSG1\tA\t1\t1\t2\n")
    config = GenesConfig(path=str(path), columns=GeneColumns())
    genes, _ = read_genes(config, "GRCh37")
    with pytest.raises(InputError, match=r"annotation.features: found exon with a gene table, wanted a GTF"):
        read_parts(AnnotationConfig(kind="intervals", features="exon"), config, genes, genome("GRCh37"))


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.bed", "1\t5\t6\n", r"a\.bed: name: found 3 columns, wanted a gene in column 4"),
        ("a.bed", "1\tx\t6\tA\n", r"a\.bed: start: found 'x', wanted a position from 1"),
        ("a.gtf", GTF.split("\n", 1)[0] + "\n", r"feature: found no CDS, wanted CDS lines"),
        (
            "a.gff3",
            "1\tx\tCDS\t1\t2\t.\t+\t0\tID=c;Parent=t\n",
            r"Parent: found t of CDS c, wanted a line",
        ),
    ],
)
def test_read_parts__files_with_faults(name: str, text: str, message: str, tmp_path: Path):
    path = tmp_path / name
    path.write_text(text)
    genes = pd.DataFrame({"position": [0], "gene_id": ["X"], "contig": ["1"], "start": 1, "end": 2})
    settings = AnnotationConfig(kind="intervals", features="CDS")
    with pytest.raises(InputError, match=message):
        read_parts(settings, GenesConfig(path=str(path)), genes, genome("GRCh37"))


def test_read_genes__names_of_refseq(tmp_path: Path):
    path = tmp_path / "refseq.gtf"
    path.write_text(
        'NC_000001.11\tx\tgene\t5\t9\t.\t+\t.\tgene_id "OR4F5"; gene "OR4F5"; gene_biotype "protein_coding"\n'
        'NC_000023.11\tx\tgene\t5\t9\t.\t+\t.\tgene_id "AR"; gene "AR"; gene_biotype "protein_coding";\n'
    )
    genes, _ = read_genes(GenesConfig(path=str(path)), "GRCh38")
    assert genes[["gene_id", "symbol", "contig"]].values.tolist() == [
        ["OR4F5", "OR4F5", "chr1"],
        ["AR", "AR", "chrX"],
    ]


@pytest.mark.parametrize("name", ["csq_toplevel/csq.gff3", "csq/ENST00000580206/ENST00000580206.gff"])
def test_intervals__genes_of_bcftools_gff(name: str, shared_data: Path):
    path = shared_data / "03_bcftools_csq_splitvep_norm" / name
    lines = [line.split("\t") for line in path.read_text().splitlines() if not line.startswith("#")]
    config = GenesConfig(path=str(path), biotypes=())
    genes, _ = read_genes(config, "GRCh37")
    kinds = ("gene", "ncRNA_gene", "pseudogene")
    wanted = {(row[8].split("ID=gene:")[1].split(";")[0], int(row[3])) for row in lines if row[2] in kinds}
    assert set(zip(genes["gene_id"], genes["start"], strict=True)) == wanted
    settings = AnnotationConfig(kind="intervals", features="CDS")
    parts = read_parts(settings, config, genes, genome("GRCh37"))
    cds = {(int(row[3]), int(row[4])) for row in lines if row[2] == "CDS"}
    assert set(zip(parts["start"], parts["end"], strict=True)) == cds
