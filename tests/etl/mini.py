"""A complete set of inputs that fits on a page: four people, two records, one gene."""

from pathlib import Path
from typing import Any

import yaml

from etl.bgzf import END_OF_FILE, compress

HEADER = """\
##fileformat=VCFv4.2
##FILTER=<ID=PASS,Description="All filters passed">
##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype">
##FORMAT=<ID=AD,Number=R,Type=Integer,Description="Reads by allele">
##FORMAT=<ID=DP,Number=1,Type=Integer,Description="Reads">
##FORMAT=<ID=GQ,Number=1,Type=Integer,Description="Quality">
##FORMAT=<ID=PL,Number=G,Type=Integer,Description="Likelihoods">
##INFO=<ID=CSQ,Number=.,Type=String,Description="VEP. Format: Allele|Consequence|Gene|SYMBOL|BIOTYPE|LoF|PolyPhen|SIFT">
##contig=<ID=chr1,length=248956422>
"""  # noqa: E501
PEOPLE = ("P1", "P2", "P3", "P4")
CALLS = "\t".join(["0/0:30,0:30:60:0,60,900", "0/1:15,15:30:99:400,0,400"] * 2)
RECORDS = [
    f"chr1\t{position}\t.\tA\tG\t50\tPASS\tCSQ=G|stop_gained|ENSG1|ONE|protein_coding|HC||\tGT:AD:DP:GQ:PL\t{CALLS}\n"
    for position in (1100, 1200)
]
SAMPLES = "sample_id\tstatus\tsex\nP1\tcase\tfemale\nP2\tcontrol\tmale\nP3\tcase\tmale\nP4\tcontrol\tfemale\n"
GTF = 'chr1\ttest\tgene\t1000\t2000\t.\t+\t.\tgene_id "ENSG1"; gene_name "ONE"; gene_type "protein_coding";\n'


def vcf_text(header: str = HEADER, people: tuple[str, ...] = PEOPLE, records: list[str] | None = None) -> str:
    columns = "\t".join(["#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO", "FORMAT", *people])
    return header + columns + "\n" + "".join(RECORDS if records is None else records)


def write_bgzip(path: Path, text: str) -> Path:
    path.write_bytes(compress(text.encode()) + END_OF_FILE)
    return path


class MiniInputs:
    """Files in a folder and the configuration that names them; tests spoil one or the other."""

    def __init__(self, folder: Path) -> None:
        self.vcf = write_bgzip(folder / "cohort.vcf.bgz", vcf_text())
        self.samples = folder / "samples.tsv"
        self.samples.write_text(SAMPLES)
        self.genes = folder / "genes.gtf"
        self.genes.write_text(GTF)
        self.config = folder / "etl.yaml"
        self.settings: dict[str, Any] = {
            "out": str(folder / "out"),
            "reference": "GRCh38",
            "input": {"vcf": str(self.vcf)},
            "samples": {
                "path": str(self.samples),
                "status": {"column": "status", "case": ["case"], "control": ["control"]},
                "sex": {"column": "sex"},
            },
            "genes": {"path": str(self.genes)},
            "annotation": {"kind": "csq"},
            "masks": {"preset": "bipex"},
        }

    def write_vcf(self, text: str) -> None:
        write_bgzip(self.vcf, text)

    def write_config(self) -> Path:
        self.config.write_text(yaml.safe_dump(self.settings))
        return self.config
