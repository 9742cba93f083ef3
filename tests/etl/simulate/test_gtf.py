from contract.config import build_config
from etl.simulate.config import SimulateConfig
from etl.simulate.gtf import write_gtf
from etl.simulate.loci import Locus


def lines_of(tmp_path, strand: str) -> list[list[str]]:
    gene = Locus(0, 1, 101, 310, exons=((101, 140), (201, 250), (281, 310)), strand=strand, number=5)
    config = build_config(SimulateConfig, {"out": "x", "reference_genome": "GRCh37"}, "test")
    write_gtf([gene, Locus(1, 1, 5_001, 6_000)], config, tmp_path / "genes.gtf")
    text = (tmp_path / "genes.gtf").read_text()
    return [line.split("\t") for line in text.splitlines() if not line.startswith("#")]


def test_write_gtf__coordinates_and_phases(tmp_path):
    lines = lines_of(tmp_path, "+")
    assert [(line[2], int(line[3]), int(line[4]), line[7]) for line in lines] == [
        ("gene", 101, 310, "."),
        ("transcript", 101, 310, "."),
        ("exon", 101, 140, "."),
        ("CDS", 101, 140, "0"),
        ("exon", 201, 250, "."),
        ("CDS", 201, 250, "2"),  # 40 bases before: 13 codons and one base
        ("exon", 281, 310, "."),
        ("CDS", 281, 310, "0"),  # 90 bases before
    ]
    assert {(line[0], line[6]) for line in lines} == {("2", "+")}
    assert lines[0][8].startswith('gene_id "SIMG00000005"; gene_name "SIM5";')


def test_write_gtf__reverse_strand_is_translated_from_its_end(tmp_path):
    coding = [line for line in lines_of(tmp_path, "-") if line[2] == "CDS"]
    assert [(int(line[3]), line[7]) for line in coding] == [(281, "0"), (201, "0"), (101, "1")]
    assert ['exon_number "1"' in line[8] for line in coding] == [True, False, False]
