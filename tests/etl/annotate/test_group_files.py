"""Group files of regenie, SAIGE and EPACTS, and the ids in them."""

import math
from pathlib import Path

import pytest

from contract.config import build_config
from contract.errors import InputError
from etl.annotate.config import AnnotationConfig, GroupFile
from etl.annotate.group_files import read_mask_words, read_members
from etl.annotate.groups import word_class
from etl.annotate.variant_ids import VariantIds, read_ids
from etl.genome import genome

ANNO = "1:100:A:T G1 pLof\n1:200:C:G\tG1\tmissense\n1:200:C:G G2 domain3 synonymous\n"
SAIGE = """\
G1 var 1:100:A:T 1:200:C:G
G1 anno lof missense
G1 weight 1.5 0.25
G2 var 1:200:C:G
G2 anno synonymous
"""


def members(tmp_path: Path, format: str, text: str, **more: str) -> list[tuple]:
    path = tmp_path / "groups"
    path.write_text(text)
    found = read_members(GroupFile(format=format, path=str(path), **more))
    return [tuple(one) if not math.isnan(one.weight) else tuple(one)[:3] for one in found]


def test_read_members__regenie_annotations(tmp_path: Path):
    assert members(tmp_path, "regenie", ANNO) == [
        ("G1", "1:100:A:T", "pLof"),
        ("G1", "1:200:C:G", "missense"),
        ("G2", "1:200:C:G", "synonymous"),
    ]


def test_read_members__regenie_sets_have_their_own_variants(tmp_path: Path):
    sets = tmp_path / "sets"
    sets.write_text("G1 1 100 1:100:A:T,1:300:G:C\nG3 1 1 1:200:C:G 1:100:A:T\n")
    assert members(tmp_path, "regenie", ANNO, set_list=str(sets)) == [
        ("G1", "1:100:A:T", "pLof"),
        ("G1", "1:300:G:C", "NULL"),
        ("G3", "1:200:C:G", "NULL"),
        ("G3", "1:100:A:T", "NULL"),
    ]


def test_read_members__saige_with_and_without_weights(tmp_path: Path):
    assert members(tmp_path, "saige", SAIGE) == [
        ("G1", "1:100:A:T", "lof", 1.5),
        ("G1", "1:200:C:G", "missense", 0.25),
        ("G2", "1:200:C:G", "synonymous"),
    ]


def test_read_members__epacts(tmp_path: Path):
    text = "G1\t1:100_A/T\t1:200_C/G\nG2\t1:200_C/G\n"
    assert members(tmp_path, "epacts", text) == [
        ("G1", "1:100_A/T", None), ("G1", "1:200_C/G", None), ("G2", "1:200_C/G", None),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("format", "text", "message"),
    [
        ("regenie", "1:1:A:T G1\n", r"line 1: found 2 columns, wanted variant, gene and annotation"),
        ("saige", "G1 1:1:A:T\n", r"line 1: found 'G1 1:1:A:T', wanted a gene, then var, anno or weight"),
        ("saige", "G1 var a b\nG1 anno lof\n", r"gene G1: found 1 in anno, wanted 2, one for each"),
        ("saige", "G1 var a\n", r"gene G1: found no line anno"),
        ("saige", "G1 var a\nG1 anno lof\nG1 weight x\n", r"gene G1: found weight 'x', wanted a number"),
    ],
)
def test_read_members__faults(format: str, text: str, message: str, tmp_path: Path):
    with pytest.raises(InputError, match=message):
        members(tmp_path, format, text)


def test_read_members__no_file(tmp_path: Path):
    with pytest.raises(InputError, match=r"nowhere: annotation: found no readable file \(No such file"):
        list(read_members(GroupFile(format="saige", path=str(tmp_path / "nowhere"))))


def test_read_members__regenie_s_example(shared_data: Path):
    folder = shared_data / "02_regenie"
    config = GroupFile(
        format="regenie",
        path=str(folder / "example_3chr.annotations"),
        set_list=str(folder / "example_3chr.setlist"),
    )
    found = list(read_members(config))
    assert [sum(one.gene == name for one in found) for name in ("SET1", "SET2", "SET4")] == [40, 31, 2]
    domains = GroupFile(format="regenie", path=str(folder / "example_3chr.annotationsV2"))
    plain = GroupFile(format="regenie", path=config.path)
    by_word = [[one[:3] for one in read_members(each)] for each in (domains, plain)]
    assert by_word[0] == by_word[1]
    words = [word for _, _, word in by_word[1]]
    assert (words.count("pLof"), words.count("missense")) == (358, 142)
    assert read_mask_words(str(folder / "example_3chr.masks")) == {
        "M1": ["pLof"], "M2": ["pLof", "missense", "unknown1"], "M3": ["unknown1", "unknown2"],
    }  # fmt: skip


@pytest.mark.parametrize(
    "name", ["1:100:A:T", "chr1:100:a:t", "1_100_A_T", "1-100-A-T", "1:100_A/T", "chr1:100_A/T", "1:99:GA:GT"]
)
@pytest.mark.parametrize(("build", "contig"), [("GRCh37", "1"), ("GRCh38", "chr1")])
def test_variant_ids__ways_of_writing_one_variant(name: str, build: str, contig: str):
    assert VariantIds(genome(build))(name) == ((contig, 100, "A", "T"),)


@pytest.mark.parametrize("name", ["rs123", "1:100", "1:100:A", "mog_7", "1:x:A:T"])
def test_variant_ids__names_that_say_no_place(name: str):
    assert VariantIds(genome("GRCh37"))(name) == ()


def test_read_ids__bim_has_no_reference_allele(tmp_path: Path):
    path = tmp_path / "a.bim"
    path.write_text("23 rs1 0 100 T A\n")
    assert read_ids(str(path), genome("GRCh38")) == {
        "rs1": (("chrX", 100, "A", "T"), ("chrX", 100, "T", "A")),
    }


def test_read_ids__pvar_with_two_alternate_alleles(tmp_path: Path):
    path = tmp_path / "a.pvar"
    path.write_text("##x\n#CHROM\tPOS\tID\tREF\tALT\n1\t100\trs1\tA\tT,AG\n")
    assert read_ids(str(path), genome("GRCh37")) == {"rs1": (("1", 100, "A", "T"), ("1", 100, "A", "AG"))}


def test_read_ids__no_such_format(tmp_path: Path):
    path = tmp_path / "a.bim"
    path.write_text("rs1 1 100\n")
    with pytest.raises(InputError, match=r"a\.bim: line 1: found 3 columns, wanted a line of a \.bim"):
        read_ids(str(path), genome("GRCh37"))


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("pLof", "plof"), ("LoF", "plof"), ("missense", "other_missense"), ("Synonymous", "synonymous"),
        ("damaging_missense", "damaging_missense"), ("stop_gained", "plof"), ("revel_high", "revel_high"),
        ("mine", "damaging_missense"), (None, "any"),
    ],
)  # fmt: skip
def test_word_class__of_a_file_s_words(word: str | None, expected: str):
    assert word_class(word, {"mine": "damaging_missense"}) == expected


def test_annotation_config__groups_are_written_flat():
    config = build_config(AnnotationConfig, {"kind": "groups", "format": "saige", "path": "a.txt"}, "test")
    assert config.groups == GroupFile(format="saige", path="a.txt")
    assert build_config(AnnotationConfig, config.model_dump(mode="json"), "test") == config
    with pytest.raises(InputError, match="format and path with kind groups, and with no other"):
        build_config(AnnotationConfig, {"kind": "groups"} | {"groups": None}, "test")
    with pytest.raises(InputError, match="set_list and masks with format regenie alone"):
        build_config(
            AnnotationConfig, {"kind": "groups", "format": "saige", "path": "a", "set_list": "b"}, "test"
        )
