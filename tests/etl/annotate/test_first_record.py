import pytest

from contract.config import load_config
from contract.errors import InputError
from etl.annotate.config import AnnotationConfig
from etl.annotate.first_record import check_first_record
from etl.annotate.header import AnnotationHeader
from etl.check import check
from etl.config import EtlConfig
from tests.etl.mini import HEADER, MiniInputs, vcf_text

FIELDS = AnnotationHeader(("Allele", "Consequence", "Gene"), where="a.vcf")


@pytest.mark.parametrize(("entry", "found"), [("A|stop_gained", 2), ("A|x|G1,A|x|G2|y", 4)])
def test_check_first_record__other_sub_fields_than_the_header_names(entry: str, found: int):
    message = rf"a\.vcf: INFO CSQ of the first record: found an entry with {found} sub-fields, wanted 3"
    with pytest.raises(InputError, match=message):
        check_first_record(AnnotationConfig(), FIELDS, f"AC=1;CSQ={entry};AF=1")


@pytest.mark.parametrize("info", ["", "AC=1", "CSQ=.", "CSQ=A|x|G1,A|x|G2", "CSQ=A|x|G1,5,6"])
def test_check_first_record__nothing_to_tell(info: str):
    check_first_record(AnnotationConfig(), FIELDS, info)


def test_check__header_that_does_not_match_the_first_record(mini: MiniInputs):
    mini.write_vcf(vcf_text(HEADER.replace("|PolyPhen|SIFT", "|PolyPhen|SIFT|CANONICAL")))
    assert check(load_config(EtlConfig, mini.write_config())) == [
        f"{mini.vcf}: INFO CSQ of the first record: found an entry with 8 sub-fields, wanted 9, as "
        "the header names"
    ]


def test_check__score_table_and_group_file(mini: MiniInputs, tmp_path):
    table = tmp_path / "scores.csv"
    table.write_text("contig,position,ref,alt,score\n")
    scores = {"path": str(table), "columns": ["score", "cadd"]}
    mini.settings["annotation"] = {"kind": "groups", "format": "saige", "path": "nowhere", "scores": scores}
    assert check(load_config(EtlConfig, mini.write_config())) == [
        f"{table}: column cadd: found columns contig, position, ref, alt, score, wanted 'cadd' "
        "(annotation.scores)"
    ]
    table.write_text("contig,position,ref,alt,score,cadd\n")
    (fault,) = check(load_config(EtlConfig, mini.write_config()))
    assert fault.startswith("nowhere: annotation: found no readable file (No such file")


@pytest.mark.parametrize(
    ("name", "reason"),
    [("a.tsv", "No such file or directory"), ("a.ht", "no Hail Table"), ("a.parquet", "")],
)
def test_check__no_score_table(name: str, reason: str, mini: MiniInputs, tmp_path):
    mini.settings["annotation"]["scores"] = {"path": str(tmp_path / name), "columns": ["score"]}
    (fault,) = check(load_config(EtlConfig, mini.write_config()))
    assert fault.startswith(f"{tmp_path / name}: annotation.scores: found no readable table ({reason}")
