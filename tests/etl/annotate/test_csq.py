"""VEP's CSQ: transcripts, LOFTEE, scores, and every record of files that others wrote."""

import math
import re
from pathlib import Path

import pandas as pd
import pytest

from contract.config import build_config
from contract.errors import InputError
from etl.annotate.config import AnnotationConfig
from etl.annotate.consequence import Consequence, Site
from etl.annotate.header import AnnotationHeader, annotation_header
from etl.annotate.scores import score_names
from etl.annotate.severity import TERMS
from etl.annotate.variants import make_annotator
from etl.genome import genome
from tests.etl.annotate.annotated_files import PlainFile, axis, plain_file

GENES = axis({"ENSG1", "ENSG2"}).assign(symbol=["A", "B"])
FIELDS = [
    "Allele",
    "Consequence",
    "SYMBOL",
    "Gene",
    "BIOTYPE",
    "LoF",
    "LoF_flags",
    "CANONICAL",
    "MANE_SELECT",
]
SPLICEAI = [f"SpliceAI_pred_DS_{name}" for name in ("AG", "AL", "DG", "DL")]


def annotate(*entries: str, fields: list[str] = FIELDS, **config: object) -> list[Consequence]:
    site = Site("1", 110, "A", "T", ["A", "T"], 1, list(entries))
    header = AnnotationHeader(tuple(fields), where="a.vcf")
    return make_annotator(GENES, AnnotationConfig(**config), genome("GRCh37"), header=header)(site)


def entry(term: str, gene: str = "ENSG1", loftee: str = "", canonical: str = "", mane: str = "") -> str:
    return f"T|{term}||{gene}|protein_coding|{loftee}||{canonical}|{mane}"


WORST, CANONICAL, MANE = (
    entry("stop_gained", loftee="HC"),
    entry("missense_variant", canonical="YES"),
    entry("synonymous_variant", mane="NM_1.2"),
)


@pytest.mark.parametrize(
    ("transcripts", "entries", "expected"),
    [
        ("worst", (WORST, CANONICAL, MANE), "stop_gained"),
        ("canonical", (WORST, CANONICAL, MANE), "missense_variant"),
        ("canonical", (WORST, MANE), "stop_gained"),
        ("mane", (WORST, CANONICAL, MANE), "synonymous_variant"),
        ("mane", (WORST, CANONICAL), "missense_variant"),
        ("mane", (WORST, entry("intron_variant")), "stop_gained"),
    ],
)
def test_candidates__transcripts_that_are_preferred(transcripts, entries, expected):
    assert [one.consequence for one in annotate(*entries, transcripts=transcripts)] == [expected]


def test_candidates__each_gene_has_a_preferred_transcript_of_its_own():
    found = annotate(WORST, MANE, entry("stop_lost", gene="ENSG2"), transcripts="mane")
    assert [(one.gene, one.consequence) for one in found] == [(0, "synonymous_variant"), (1, "stop_lost")]


def test_candidates__a_flag_of_loftee_lowers_its_call_where_that_is_wanted():
    text = "T|stop_gained||ENSG1|protein_coding|HC|PHYLOCSF_WEAK||"
    assert [(one.variant_class, one.loftee) for one in annotate(text)] == [("plof", "HC")]
    lowered = annotate(text, loftee_flags="low_confidence")
    assert [(one.variant_class, one.loftee) for one in lowered] == [("plof_low_confidence", "HC")]
    kept = annotate(entry("stop_gained", loftee="HC"), loftee_flags="low_confidence")
    assert [one.variant_class for one in kept] == ["plof"]


MISSENSE, UNJUDGED_STOP = entry("missense_variant"), entry("stop_gained")


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        # It is no high confidence call, and does not hide behind the missense change of another transcript.
        ((MISSENSE, UNJUDGED_STOP), ("stop_gained", "plof_low_confidence", None)),
        ((UNJUDGED_STOP, entry("splice_donor_variant", loftee="HC")), ("splice_donor_variant", "plof", "HC")),
        # A verdict goes before none, though a stop is the graver term.
        (
            (UNJUDGED_STOP, entry("frameshift_variant", loftee="LC")),
            ("frameshift_variant", "plof_low_confidence", "LC"),
        ),
    ],
)
def test_candidates__loss_of_function_that_loftee_did_not_judge(entries, expected):
    for ordered in (entries, entries[::-1]):
        (found,) = annotate(*ordered)
        assert (found.consequence, found.variant_class, found.loftee) == expected


def test_candidates__an_unjudged_transcript_that_codes_for_no_protein():
    unjudged = UNJUDGED_STOP.replace("protein_coding", "processed_transcript")
    assert [one.variant_class for one in annotate(MISSENSE, unjudged)] == ["other_missense"]
    every = annotate(MISSENSE, unjudged, protein_coding_only=False)
    assert [one.variant_class for one in every] == ["plof_low_confidence"]
    preferred = annotate(entry("missense_variant", canonical="YES"), UNJUDGED_STOP, transcripts="canonical")
    assert [one.variant_class for one in preferred] == ["other_missense"]


def test_candidates__variants_that_loftee_did_not_judge_are_counted():
    annotator = make_annotator(
        GENES, AnnotationConfig(), genome("GRCh37"), header=AnnotationHeader(tuple(FIELDS))
    )
    for entries in ((UNJUDGED_STOP,), (UNJUDGED_STOP, WORST), (MISSENSE,)):
        annotator(Site("1", 110, "A", "T", ["A", "T"], 1, list(entries)))
    ((text, number),) = annotator.counts.items()
    assert number == 1
    assert re.match(r"variants have a term of loss of function that LOFTEE did not judge, in the tr", text)


def test_candidates__all_terms_of_the_transcript():
    (found,) = annotate(entry("splice_region_variant&missense_variant"))
    assert (found.consequence, found.terms) == (
        "missense_variant",
        ("splice_region_variant", "missense_variant"),
    )


def test_scores__of_the_transcript_that_was_chosen():
    fields = ["Allele", "Consequence", "Gene", "CADD_PHRED", "REVEL", "am_pathogenicity", *SPLICEAI, "MPC"]
    fields += ["PolyPhen", "SIFT"]
    config = AnnotationConfig()
    assert score_names(config, fields) == [
        "cadd", "revel", "alphamissense", "spliceai", "mpc", "polyphen", "sift",
    ]  # fmt: skip
    (found,) = annotate(
        "T|synonymous_variant|ENSG1|1|0.1|0.1|0|0|0|0|0.1|benign(0.01)|tolerated(1)",
        "T|missense_variant|ENSG1|25.3|0.2&.&0.7|.|0.01|0.9||0.3|2.5|probably_damaging(0.998)|deleterious(0.01)",
        fields=fields,
    )
    assert found.scores[:2] == [25.3, 0.7]
    assert math.isnan(found.scores[2])
    assert found.scores[3:] == [0.9, 2.5, 0.998, 0.01]


@pytest.mark.parametrize(
    ("polyphen", "sift", "expected"),
    [
        ("benign(0.1)&probably_damaging(0.9)", "tolerated(0.3)&deleterious(0.02)", [0.9, 0.02]),
        ("probably_damaging", "deleterious", [math.nan, math.nan]),
        ("0.5", "1e-3", [0.5, 0.001]),
        ("", ".", [math.nan, math.nan]),
    ],
)
def test_scores__several_values_words_and_none(polyphen, sift, expected):
    fields = ["Allele", "Consequence", "Gene", "PolyPhen", "SIFT"]
    (found,) = annotate(f"T|missense_variant|ENSG1|{polyphen}|{sift}", fields=fields)
    assert found.scores == pytest.approx(expected, nan_ok=True)


def test_candidates__genes_by_numbers_of_refseq_and_by_symbol():
    genes = pd.DataFrame({"position": [0, 1], "gene_id": ["79501", "OR4F5"], "symbol": [None, None]})
    header = AnnotationHeader(("Allele", "Consequence", "Gene", "SYMBOL"))
    annotator = make_annotator(genes, AnnotationConfig(), genome("GRCh37"), header=header)
    entries = ["T|stop_gained|79501|X", "T|missense_variant|81399|OR4F5"]
    found = annotator(Site("1", 110, "A", "T", ["A", "T"], 1, entries))
    assert [(one.gene, one.consequence) for one in found] == [(0, "stop_gained"), (1, "missense_variant")]


@pytest.mark.parametrize("text", ["T|stop_gained|A|ENSG1", entry("stop_gained") + "|x"])
def test_own_entries__other_sub_fields_than_the_header_names(text):
    found = len(text.split("|"))
    message = rf"a\.vcf: INFO CSQ of 1:110: found an entry with {found} sub-fields, wanted 9, as the header"
    with pytest.raises(InputError, match=message):
        annotate(text)


def test_own_entries__commas_inside_a_sub_field():
    found = annotate(
        "T|stop_gained||ENSG1|protein_coding|HC|A", "B", "C||NM_1", entry("missense_variant", "ENSG2")
    )
    assert [one.consequence for one in found] == ["stop_gained", "missense_variant"]


def test_unknown__terms_are_named_and_counted():
    header = AnnotationHeader(("Allele", "Consequence", "Gene"))
    annotator = make_annotator(GENES, AnnotationConfig(), genome("GRCh37"), header=header)
    entries = ["T|new_variant&missense_variant|ENSG1", "T|new_variant|ENSG1", "T|odd_variant|ENSG2"]
    found = [annotator(Site("1", 110, "A", "T", ["A", "T"], 1, entries)) for _ in range(2)]
    assert [(one.consequence, one.variant_class) for one in found[0]] == [
        ("missense_variant", "other_missense"),
        ("odd_variant", "other"),
    ]
    assert annotator.unknown == {"new_variant": 2, "odd_variant": 2}


def test_annotation_config__canonical_flags_are_of_vep_alone():
    with pytest.raises(InputError, match="transcripts: worst with kind ann: it marks no transcript"):
        build_config(AnnotationConfig, {"kind": "ann", "transcripts": "mane"}, "test")


FILES = {
    "01_hail_test_resources/sample.gnomad.exomes.r2.1.1.sites.chr1.vcf.gz": "vep",
    "01_hail_test_resources/sample.gnomad.genomes.r3.0.sites.chr1.vcf.gz": "vep",
    **{
        f"03_bcftools_csq_splitvep_norm/split-vep/split-vep{name}.vcf": field
        for name, field in {
            "": "CSQ", ".2": "CSQ", ".3": "CSQ", ".5": "CSQ", ".6": "CSQ", ".7": "ANN", ".10": "CSQ",
            ".broken-LoF": "vep", ".filter": "CSQ", ".filter-missing-bt2098": "CSQ", ".gene-list": "CSQ",
            ".select-tr-expr": "CSQ", ".types": "CSQ",
        }.items()
    },
    "04_annotated_vcfs/exac_sites_vep/exac.vcf.gz": "CSQ",
    "04_annotated_vcfs/glow/loftee.vcf": "CSQ",
    "04_annotated_vcfs/glow/vep.vcf": "CSQ",
    "04_annotated_vcfs/snpeff/ensembl_hgvs_intron.within_cds.vep.vcf": "CSQ",
}  # fmt: skip


def plain_worst(site: Site, rows: list[dict[str, str]]) -> dict[str, str]:
    """Gene -> its most severe term, of the record's entries for the allele, where nothing judged classes."""
    ref, alt = site.old_alleles[0], site.old_alleles[site.a_index]
    if len(site.old_alleles) > 2:
        if "ALLELE_NUM" in rows[0]:
            rows = [row for row in rows if row["ALLELE_NUM"] == str(site.a_index)]
        else:
            cut = (
                any(len(a) != len(ref) for a in site.old_alleles)
                and len({a[0] for a in site.old_alleles}) == 1
            )
            rows = [row for row in rows if row["Allele"] == ((alt[1:] or "-") if cut else alt)]
    worst: dict[str, str] = {}
    for row in rows:
        for term in row["Consequence"].split("&"):
            held = worst.get(row["Gene"])
            if row["Gene"] and (held is None or TERMS.index(term) < TERMS.index(held)):
                worst[row["Gene"]] = term
    return worst


def entries_as_rows(file: PlainFile, record: list[str], field: str, names: list[str]) -> list[dict[str, str]]:
    text = ",".join(file.values(record, field))
    # LOFTEE's commas: an entry ends where a comma is followed by an allele and a bar.
    pieces = text.split(",")
    whole: list[str] = []
    for piece in pieces:
        if "|" in piece:
            whole.append(piece)
        else:
            whole[-1] += f",{piece}"
    return [dict(zip(names, one.split("|"), strict=True)) for one in whole]


@pytest.mark.parametrize(("name", "field"), FILES.items(), ids=lambda value: Path(str(value)).name)
def test_annotate__gene_and_worst_term_of_every_record(name: str, field: str, shared_data: Path):
    file = plain_file(shared_data / name)
    config = AnnotationConfig(field=field, protein_coding_only=False)
    header = annotation_header(config, file.descriptions, str(file.path))
    sites = list(file.sites(field))
    rows = [entries_as_rows(file, record, field, list(header.fields)) for _, record in sites]
    genes = axis({row["Gene"] for one in rows for row in one})
    # Without LOFTEE's judgement and the predictors' words the order of classes is that of terms.
    blind = [name if name not in ("LoF", "PolyPhen", "SIFT") else "-" for name in header.fields]
    annotator = make_annotator(
        genes, config, genome("GRCh37"), header=AnnotationHeader(tuple(blind), where=header.where)
    )
    assert len(sites) >= 1
    severe = {term for term in TERMS[: TERMS.index("splice_donor_5th_base_variant")]}
    for (site, _), own in zip(sites, rows, strict=True):
        found = {genes["gene_id"][one.gene]: one.consequence for one in annotator(site)}
        wanted = plain_worst(site, own)
        assert found.keys() == wanted.keys()
        for gene, term in wanted.items():
            # Classes come first: a synonymous change before one of a splice region, which ranks higher.
            if term in severe:
                assert found[gene] == term, (site.contig, site.position, gene)
    assert annotator.unknown == {}


def test_annotate__worst_missense_or_worse_as_bcftools_split_vep_has_it(shared_data: Path):
    folder = shared_data / "03_bcftools_csq_splitvep_norm/split-vep"
    expected = [line.split("\t") for line in (folder / "split-vep.2.out").read_text().splitlines()]
    file = plain_file(folder / "split-vep.vcf")
    config = AnnotationConfig(protein_coding_only=False)
    header = annotation_header(config, file.descriptions, str(file.path))
    place = header.fields.index("Gene")
    genes = axis({text.split("|")[place] for site, _ in file.sites("CSQ") for text in site.annotation})
    annotator = make_annotator(genes, config, genome("GRCh37"), header=header)
    found: dict[str, set[str]] = {}
    for site, record in file.sites("CSQ"):
        for one in annotator(site):
            if TERMS.index(one.consequence) <= TERMS.index("missense_variant"):
                found.setdefault(record[1], set()).add("&".join(one.terms))
    assert len(expected) > 15
    assert {position: terms for position, terms in expected}.keys() == found.keys()
    assert [position for position, terms in expected if terms not in found[position]] == []


def test_annotate__loftee_calls_behind_commas(shared_data: Path):
    path = shared_data / "03_bcftools_csq_splitvep_norm/split-vep/split-vep.broken-LoF.vcf"
    file = plain_file(path)
    config = AnnotationConfig(field="vep")
    header = annotation_header(config, file.descriptions, str(path))
    annotator = make_annotator(axis({"ENSG00000277117"}), config, genome("GRCh38"), header=header)
    found = [one for site, _ in file.sites("vep") for one in annotator(site)]
    assert [(one.consequence, one.loftee, one.variant_class) for one in found] == [
        ("missense_variant", None, "other_missense"),
        ("frameshift_variant", "HC", "plof"),
    ]
