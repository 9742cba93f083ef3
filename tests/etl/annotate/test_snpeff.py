"""SnpEff's ANN and EFF, and calls of loss of function."""

from pathlib import Path

import pytest

from contract.errors import InputError
from etl.annotate.config import AnnotationConfig
from etl.annotate.consequence import Annotator, Consequence, Site
from etl.annotate.dialects import CLASSIC, SNPEFF
from etl.annotate.header import AnnotationHeader, annotation_header
from etl.annotate.judgement import severity
from etl.annotate.severity import LEAST_SEVERE, PLOF_TERMS
from etl.annotate.snpeff_format import snpeff_format
from etl.annotate.variants import make_annotator
from etl.genome import genome
from tests.etl.annotate.annotated_files import axis, plain_file

GENES = axis({"ENSG1", "ENSG2"}).assign(symbol=["A", "B"])
ANN = (
    "Functional annotations: 'Allele | Annotation | Annotation_Impact | Gene_Name | Gene_ID | Feature_Type | "
    "Feature_ID | Transcript_BioType | Rank '"
)
EFF = (
    "Predicted effects for this variant.Format: 'Effect ( Effect_Impact | Functional_Class | Codon_Change | "
    "Amino_Acid_Change| Amino_Acid_length | Gene_Name | Transcript_BioType | Gene_Coding | Transcript_ID | "
    "Exon_Rank  | Genotype_Number [ | ERRORS | WARNINGS ] )'"
)


def annotator(kind: str, description: str, *, lof: bool = False, **config: object) -> Annotator:
    settings = AnnotationConfig(kind=kind, **config)
    infos = {settings.info_field: description} | ({"LOF": "Predicted loss of function"} if lof else {})
    header = annotation_header(settings, infos, "a.vcf")
    return make_annotator(GENES, settings, genome("GRCh37"), header=header)


def site(*entries: str, alts: tuple[str, ...] = ("T",), index: int = 1) -> Site:
    return Site("1", 110, "A", alts[index - 1], ["A", *alts], index, list(entries))


def brief(found: list[Consequence]) -> list[tuple[int, str | None, str]]:
    return [(one.gene, one.consequence, one.variant_class) for one in found]


def ann(allele: str, term: str, impact: str, gene: str = "A|ENSG1", biotype: str = "protein_coding") -> str:
    return f"{allele}|{term}|{impact}|{gene}|transcript|ENST1|{biotype}|1/2"


def test_snpeff_format__both_fields():
    assert snpeff_format(ANN)[:5] == ["Allele", "Annotation", "Annotation_Impact", "Gene_Name", "Gene_ID"]
    names = snpeff_format(EFF)
    assert (names[0], names[6], names[7], names[11], names[12:]) == (
        "Effect", "Gene_Name", "Transcript_BioType", "Genotype_Number", ["ERRORS", "WARNINGS"],
    )  # fmt: skip


def test_ann__worst_of_each_gene_for_the_own_allele():
    find = annotator("ann", ANN)
    entries = (
        ann("T", "missense_variant&splice_region_variant", "MODERATE"),
        ann("T", "synonymous_variant", "LOW"),
        ann("G", "stop_gained", "HIGH"),
        ann("T", "upstream_gene_variant", "MODIFIER", gene="B|ENSG2"),
        ann("T", "stop_gained", "HIGH", gene="B|ENSG2", biotype="retained_intron"),
    )
    assert brief(find(site(*entries, alts=("T", "G")))) == [
        (0, "missense_variant", "other_missense"),
        (1, "upstream_gene_variant", "other"),
    ]
    assert brief(find(site(*entries, alts=("T", "G"), index=2))) == [(0, "stop_gained", "plof")]


def test_ann__a_lost_feature_in_snpeffs_own_word_that_it_did_not_call():
    find = annotator("ann", ANN, lof=True)
    assert brief(find(site(ann("T", "feature_ablation", "HIGH")))) == [
        (0, "feature_ablation", "plof_low_confidence")
    ]
    assert find.counts == {}


def test_ann__calls_of_loss_decide_where_snpeff_made_them():
    find = annotator("ann", ANN, lof=True)
    stop, other = ann("T", "stop_gained", "HIGH"), ann("T", "frameshift_variant", "HIGH", gene="B|ENSG2")
    assert brief(find(site(stop, other, "LOF=(A|ENSG1|2|1.00)"))) == [
        (0, "stop_gained", "plof"),
        (1, "frameshift_variant", "plof_low_confidence"),
    ]
    assert brief(find(site(stop, "NMD=(A|ENSG1|2|0.50)"))) == [(0, "stop_gained", "plof")]
    assert brief(find(site(ann("T", "start_lost", "HIGH"), "LOF=(A|ENSG1|1|1.00)"))) == [
        (0, "start_lost", "plof")
    ]


def test_ann__a_call_of_one_record_is_of_its_damaging_allele():
    find = annotator("ann", ANN, lof=True)
    entries = (
        ann("T", "stop_gained", "HIGH"), ann("G", "missense_variant", "MODERATE"), "LOF=(A|ENSG1|2|1.00)",
    )  # fmt: skip
    assert brief(find(site(*entries, alts=("T", "G"), index=2))) == [
        (0, "missense_variant", "other_missense")
    ]


def test_ann__a_gene_that_only_lof_names():
    find = annotator("ann", ANN, lof=True)
    found = find(site(ann("T", "stop_gained", "HIGH"), "LOF=(A|ENSG1|2|1.00)", "LOF=(B|ENSG2|7|0.71)"))
    assert brief(found) == [(0, "stop_gained", "plof"), (1, None, "plof")]


def test_ann__another_number_of_sub_fields():
    with pytest.raises(InputError, match=r"a\.vcf: INFO ANN of 1:110: found an entry with 2 .* wanted 9"):
        annotator("ann", ANN)(site("T|stop_gained"))


@pytest.mark.parametrize(
    ("kind", "description", "message"),
    [
        ("ann", None, r"INFO ANN: found no such field in the header, wanted SnpEff's annotation"),
        (
            "ann",
            "Format: Allele|Consequence|Gene",
            r"wanted also Annotation \(in EFF: Effect\), Gene_ID or Gene",
        ),
        ("eff", "Effects", r"found description 'Effects', wanted also Annotation"),
    ],
)
def test_annotation_header__no_header_of_snpeff(kind, description, message):
    config = AnnotationConfig(kind=kind)
    infos = {} if description is None else {config.info_field: description}
    with pytest.raises(InputError, match=message):
        annotation_header(config, infos, "a.vcf")


def test_eff__classic_names_and_genotype_numbers():
    find = annotator("eff", EFF)
    entries = (
        "NON_SYNONYMOUS_CODING(MODERATE|MISSENSE|gCa/gTa|A5V|100|A|protein_coding|CODING|ENST1|2|1)",
        "STOP_GAINED(HIGH|NONSENSE|tgG/tgA|W3*|100|A|protein_coding|CODING|ENST1|2|2)",
        "FRAME_SHIFT+STOP_GAINED(HIGH||||100|B|protein_coding|CODING|ENST2|2|1|WARNING_X)",
        "UPSTREAM(MODIFIER||||||antisense|NON_CODING|ENST3||1)",
    )
    first, second = (find(site(*entries, alts=("T", "G"), index=index)) for index in (1, 2))
    assert brief(first) == [(0, "missense_variant", "other_missense"), (1, "stop_gained", "plof")]
    assert first[1].terms == ("frameshift_variant", "stop_gained")
    assert brief(second) == [(0, "stop_gained", "plof")]


def test_eff__terms_of_version_4():
    entry = "missense_variant(MODERATE|MISSENSE|gCa/gTa|A5V|100|A|protein_coding|CODING|ENST1|2|1)"
    assert brief(annotator("eff", EFF)(site(entry))) == [(0, "missense_variant", "other_missense")]


def test_dialects__every_term_has_a_rank():
    assert [name for name, term in CLASSIC.items() if severity(term) == LEAST_SEVERE] == []
    assert [term for term in SNPEFF if severity(term) == LEAST_SEVERE] == []


NAMES = ["cancer.ann", "test.ann", "test.chr22.ann.filter_missense_any", "variants_1.ann", "variants_2.ann"]
IMPACTS = ("HIGH", "MODERATE", "LOW", "MODIFIER")


@pytest.mark.parametrize("name", NAMES)
def test_ann__impact_and_loss_of_every_record(name: str, shared_data: Path):
    file = plain_file(shared_data / f"04_annotated_vcfs/snpeff/{name}.vcf")
    config = AnnotationConfig(kind="ann", protein_coding_only=False)
    header = annotation_header(config, file.descriptions, str(file.path))
    rows = [[text.split("|") for text in file.values(record, "ANN")] for record in file.records]
    genes = axis({row[4] for record in rows for row in record})
    find = make_annotator(genes, config, genome("GRCh37"), header=header)
    for one, record in file.sites("ANN", config.further_fields):
        own = [row for row in (text.split("|") for text in file.values(record, "ANN")) if row[0] == one.alt]
        found = {genes["gene_id"][each.gene]: each for each in find(one)}
        assert found.keys() == {row[4] for row in own if row[4]}
        lost = [text.strip("()").split("|")[1] for text in file.values(record, "LOF")]
        for gene, each in found.items():
            # SnpEff writes a gene's effects with the highest impact first.
            first = min((row for row in own if row[4] == gene), key=lambda row: IMPACTS.index(row[2]))
            impact = {row[1]: row[2] for row in own if row[4] == gene}["&".join(each.terms)]
            assert impact == first[2]
            if gene in lost and impact == "HIGH":
                assert each.variant_class == "plof"
    assert find.unknown == {}


def test_eff__every_record_of_a_file_without_a_header(shared_data: Path):
    file = plain_file(shared_data / "04_annotated_vcfs/snpeff/lof.vcf")
    fields = tuple(snpeff_format(EFF)[:10])
    config = AnnotationConfig(kind="eff", csq_fields=fields)
    genes = axis({text.split("|")[5] for record in file.records for text in file.values(record, "EFF")})
    header = AnnotationHeader(fields, calls_loss=True)
    find = make_annotator(genes, config, genome("GRCh37"), header=header)
    n_plof = 0
    for one, record in file.sites("EFF", config.further_fields):
        lost = {text.split("|")[0] for text in file.values(record, "LOF")}
        effects = {text.split("|")[5]: text.split("(")[0] for text in file.values(record, "EFF")}
        found = {genes["gene_id"][each.gene]: each for each in find(one)}
        assert effects.keys() <= found.keys()
        for gene, each in found.items():
            assert (each.variant_class == "plof") == (gene in lost)
            assert each.consequence is None or each.consequence in PLOF_TERMS
            n_plof += each.variant_class == "plof"
    assert n_plof > 900
    assert find.unknown == {}
