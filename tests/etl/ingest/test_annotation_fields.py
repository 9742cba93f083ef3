"""INFO fields that are handed on with a record, from text and from BCF."""

from pathlib import Path

from pysam import bcftools

from etl.ingest.htslib import Record, RecordSettings, TextReader, bcf_records

HEADER = """\
##fileformat=VCFv4.2
##contig=<ID=1,length=1000>
##INFO=<ID=ANN,Number=.,Type=String,Description="">
##INFO=<ID=LOF,Number=.,Type=String,Description="">
##INFO=<ID=ANNOTATED,Number=1,Type=String,Description="">
##FORMAT=<ID=GT,Number=1,Type=String,Description="">
#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tP1
"""
INFOS = (
    "ANNOTATED=x;ANN=T|a,T|b;LOF=(A|G1|1|1.00),(B|G2|1|0.50)",
    "ANN=T|a",
    "LOF=(A|G1|1|1.00)",
    "ANN=.",
    ".",
)
SETTINGS = RecordSettings(
    n_people=1, annotation_field="ANN", numbers=(), other_formats=(), further_fields=("LOF", "NMD")
)
EXPECTED = [["T|a", "T|b", "LOF=(A|G1|1|1.00)", "LOF=(B|G2|1|0.50)"], ["T|a"], None, None, None]


def body() -> str:
    return "".join(f"1\t{n + 1}\t.\tA\tT\t.\t.\t{info}\tGT\t0/1\n" for n, info in enumerate(INFOS))


def annotations(records: list[Record]) -> list[list[str] | None]:
    return [record.annotation for record in records]


def test_records__further_fields_follow_the_annotation():
    assert annotations(list(TextReader("a.vcf", SETTINGS).records(body().encode()))) == EXPECTED


def test_bcf_records__further_fields_follow_the_annotation(tmp_path: Path):
    text, packed = tmp_path / "a.vcf", tmp_path / "a.bcf"
    text.write_text(HEADER + body())
    bcftools.view("-Ob", "-o", str(packed), str(text), catch_stdout=False)
    assert annotations(list(bcf_records(str(packed), SETTINGS))) == EXPECTED
