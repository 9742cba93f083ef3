"""bcftools' BCSQ, also as bcftools itself writes it here."""

import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest

from contract.errors import InputError
from etl.annotate.bcsq import UNRESOLVED, Linked, entries_of, linked_places, merged, names_variant
from etl.annotate.config import AnnotationConfig
from etl.annotate.consequence import Annotator, Site
from etl.annotate.dialects import BCFTOOLS
from etl.annotate.header import annotation_header
from etl.annotate.judgement import severity
from etl.annotate.severity import LEAST_SEVERE
from etl.annotate.variants import Sources, make_annotator
from etl.genome import genome
from tests.etl.annotate.annotated_files import PlainFile, axis, plain_file

GENES = axis({"ABC", "XYZ", "QWRTY"})
CALL_CSQ = """
import sys
from pysam import bcftools
fasta, genes, calls, out = sys.argv[1:]
bcftools.csq("-f", fasta, "-g", genes, "-p", "a", "-o", out, calls, catch_stdout=False)
"""


def annotator(genes=GENES, linked: Linked | None = None, **config: object) -> Annotator:
    settings = AnnotationConfig(kind="bcsq", **config)
    return make_annotator(genes, settings, genome("GRCh37"), sources=Sources(linked=linked or {}))


def site(position: int, ref: str, alt: str, *entries: str, others: tuple[str, ...] = ()) -> Site:
    return Site("1", position, ref, alt, [ref, alt, *others], 1, list(entries))


def brief(found) -> list[tuple[str, str, str]]:
    return [(GENES["gene_id"][one.gene], one.consequence, one.variant_class) for one in found]


def test_candidates__shortened_entries_and_entries_of_another_allele():
    entries = (
        "missense|XYZ|ENST1|protein_coding|+|2V>2I|103G>A",
        "stop_gained|XYZ|ENST1|protein_coding|+|2V>2*|103G>C",
        "splice_region|ABC|ENST2|protein_coding",
        "intron|QWRTY||protein_coding",
        "non_coding|QWRTY||lincRNA",
    )
    find = annotator()
    assert brief(find(site(103, "G", "A", *entries, others=("C",)))) == [
        ("ABC", "splice_region_variant", "other"),
        ("QWRTY", "intron_variant", "other"),
        ("XYZ", "missense_variant", "other_missense"),
    ]
    assert brief(find(site(103, "G", "C", *entries, others=("A",))))[-1] == ("XYZ", "stop_gained", "plof")


def test_candidates__a_reference_takes_the_compound_change_that_names_the_variant():
    change = "missense|XYZ|ENST1|protein_coding|+|3R>3Q|107G>A+108T>A"
    linked = {("1", 107): [change, "stop_gained|XYZ|ENST1|protein_coding|+|3R>3*|107G>T+109T>A"]}
    find = annotator(linked=linked)
    own = "splice_region|XYZ|ENST1|protein_coding"
    assert brief(find(site(108, "T", "A", own, "@107"))) == [("XYZ", "missense_variant", "other_missense")]
    assert brief(find(site(109, "T", "A", "@107"))) == [("XYZ", "stop_gained", "plof")]
    assert find.counts == {}


def test_candidates__a_reference_to_a_record_that_is_not_there():
    find = annotator()
    assert brief(find(site(108, "T", "A", "@107"))) == []
    assert find.counts == {UNRESOLVED: 1}


def test_candidates__behind_a_stop_nothing_is_lost_twice():
    (found,) = annotator()(site(160, "TA", "T", "*frameshift|XYZ|ENST1|protein_coding|+|12Y>12S|160TA>T"))
    assert (found.consequence, found.variant_class, found.terms) == (
        "*frameshift_variant", "other", ("*frameshift_variant",),
    )  # fmt: skip


def test_names_variant__in_any_representation():
    assert names_variant("121ACG>A+124TA>T", Site("1", 124, "TA", "T", ["TA", "T"], 1, None))
    assert names_variant("121ACGT>AT", Site("1", 121, "ACG", "A", ["ACG", "A"], 1, None))
    assert not names_variant("121ACG>A", Site("1", 121, "AC", "A", ["AC", "A"], 1, None))


def test_entries_of__records_that_others_refer_to():
    def batch(*rows: tuple[str, int, list[str] | None]) -> pa.RecordBatch:
        return pa.RecordBatch.from_pylist(
            [{"contig": c, "old_position": p, "annotation": a} for c, p, a in rows],
            schema=pa.schema(
                [("contig", pa.string()), ("old_position", pa.int32()), ("annotation", pa.list_(pa.string()))]
            ),
        )

    first, second = (
        batch(("1", 107, ["a", "@90"]), ("2", 107, ["b"])),
        batch(("1", 108, ["@107"]), ("1", 1, None)),
    )
    places = linked_places([first]) | linked_places([second])
    assert places == {("1", 90), ("1", 107)}
    assert merged([entries_of([first], places), entries_of([second], places)]) == {("1", 107): ["a"]}


def test_dialects__every_term_has_a_rank():
    assert [name for name, term in BCFTOOLS.items() if severity(term) == LEAST_SEVERE] == []


def test_annotation_header__other_sub_fields_than_those_of_bcftools():
    config = AnnotationConfig(kind="bcsq")
    with pytest.raises(
        InputError, match=r"INFO BCSQ: found Allele\|Consequence\|Gene, wanted Consequence\|gene"
    ):
        annotation_header(config, {"BCSQ": "Format: Allele|Consequence|Gene"}, "a.vcf")


@pytest.mark.parametrize("number", [2, 4, 8, 9])
def test_annotate__every_record_of_bcftools_tests(number: int, shared_data: Path):
    file = plain_file(shared_data / f"03_bcftools_csq_splitvep_norm/split-vep/split-vep.{number}.vcf")
    config = AnnotationConfig(kind="bcsq")
    annotation_header(config, file.descriptions, str(file.path))
    check_against_entries(file)


def linked_entries(file: PlainFile) -> dict[tuple[str, int], list[str]]:
    linked: dict[tuple[str, int], list[str]] = {}
    for record in file.records:
        linked.setdefault((record[0], int(record[1])), []).extend(file.values(record, "BCSQ"))
    return linked


def check_against_entries(file: PlainFile) -> int:
    """Compare with the most severe term of each gene by plain parsing; returns entries looked at."""
    linked = linked_entries(file)
    names = {text.split("|")[1] for texts in linked.values() for text in texts if "|" in text}
    genes = axis(names)
    find = annotator(genes, linked, protein_coding_only=False)
    n_seen = 0
    for one, record in file.sites("BCSQ"):
        texts = []
        for text in file.values(record, "BCSQ"):
            texts += linked[record[0], int(text[1:])] if text.startswith("@") else [text]
        own = f"{record[1]}{record[3]}>{record[4].split(',')[one.a_index - 1]}"
        worst: dict[str, str] = {}
        for fields in (text.split("|") for text in texts if not text.startswith("@")):
            if len(fields) > 6 and fields[6] and own not in fields[6].split("+"):
                continue
            for term in fields[0].split("&") if fields[0][0] != "*" else ["*"]:
                so = BCFTOOLS.get(term, fields[0])
                held = worst.get(fields[1])
                if held is None or severity(so) < severity(held):
                    worst[fields[1]] = so
            n_seen += 1
        found = {genes["gene_id"][each.gene]: each.consequence for each in find(one) or ()}
        assert found.keys() == worst.keys() - {""}
        for gene, term in found.items():
            behind = term.startswith("*") and severity(worst[gene]) == LEAST_SEVERE
            # Classes come first: synonymous before splice_region, which ranks higher.
            assert term == worst[gene] or behind or (term, worst[gene]) in SAME_OR_CLASS
    assert find.unknown == {}
    assert find.counts == {}
    return n_seen


SAME_OR_CLASS = {
    ("synonymous_variant", "splice_region_variant"),
    ("stop_retained_variant", "splice_region_variant"),
}


@pytest.mark.parametrize("case", ["csq_toplevel", *(f"csq/{name}" for name in (
    "EDUMMY0001", "ENST00000368801", "ENST00000379416", "ENST00000422159", "ENST00000573035-bt2212",
    "ENST00000580206", "ENST00000341065", "ENST00000571540",
))])  # fmt: skip
def test_annotate__what_bcftools_writes(case: str, shared_data: Path, tmp_path: Path):
    folder = shared_data / "03_bcftools_csq_splitvep_norm" / case
    names = ["csq.vcf"] if case == "csq_toplevel" else sorted(path.name for path in folder.glob("*.vcf"))
    n_seen = 0
    for name in names:
        genes = folder / "csq.gff3" if case == "csq_toplevel" else sorted(folder.glob("*.gff"))[-1]
        fasta = tmp_path / "reference.fa"
        (original,) = folder.glob("csq.fa" if case == "csq_toplevel" else "*.fa")
        fasta.write_bytes(original.read_bytes())
        out = tmp_path / name
        command = [sys.executable, "-c", CALL_CSQ, *map(str, (fasta, genes, folder / name, out))]
        subprocess.run(command, check=True, capture_output=True, timeout=60)
        n_seen += check_against_entries(plain_file(out))
    assert n_seen > 0


def test_annotate__compound_changes_of_the_manual_s_example(shared_data: Path, tmp_path: Path):
    folder = shared_data / "03_bcftools_csq_splitvep_norm/csq_toplevel"
    fasta, out = tmp_path / "csq.fa", tmp_path / "out.vcf"
    fasta.write_bytes((folder / "csq.fa").read_bytes())
    command = [
        sys.executable,
        "-c",
        CALL_CSQ,
        *map(str, (fasta, folder / "csq.gff3", folder / "csq.vcf", out)),
    ]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    file = plain_file(out)
    find = annotator(linked=linked_entries(file))
    by_place = {(one.contig, record[1]): brief(find(one)) for one, record in file.sites("BCSQ")}
    assert by_place["1", "107"] == by_place["1", "108"] == [("XYZ", "missense_variant", "other_missense")]
    assert by_place["1", "124"] == [("XYZ", "inframe_deletion", "other_missense")]
    assert by_place["2", "105"] == by_place["2", "121"] == [("ABC", "stop_gained", "plof")]
    assert by_place["2", "169"] == [("ABC", "missense_variant", "other_missense")]
    assert by_place["3", "20"] == []
