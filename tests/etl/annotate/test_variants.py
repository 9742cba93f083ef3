import pandas as pd
import pytest

pytest.importorskip("hail")
import hail as hl

from contract.errors import InputError
from etl.annotate.config import AnnotationConfig, GeneColumns, GenesConfig
from etl.annotate.csq import own_allele_expr, vep_allele_expr
from etl.annotate.csq_format import csq_fields
from etl.annotate.genes import read_genes
from etl.annotate.variants import annotate_variants, count_classes

pytestmark = pytest.mark.usefixtures("hail_session")

FIELDS = ["Allele", "Consequence", "SYMBOL", "Gene", "BIOTYPE", "PolyPhen", "SIFT"]
ROW = (
    "struct{locus: locus<GRCh37>, alleles: array<str>, old_alleles: array<str>, a_index: int32, "
    "annotation: array<str>}"
)


def make_genes(*genes):
    rows = [(name, symbol, "1", start, end) for name, symbol, start, end in genes]
    frame = pd.DataFrame(rows, columns=["gene_id", "symbol", "contig", "start", "end"])
    frame.insert(0, "position", range(len(frame)))
    return frame


GENES = make_genes(("ENSG1", "A", 100, 200), ("ENSG2", "B", 150, 300), ("ENSG3", None, 400, 500))


def make_rows(*rows):
    content = [
        {
            "locus": hl.Locus("1", position, "GRCh37"),
            "alleles": [old[0], old[index]],
            "old_alleles": old,
            "a_index": index,
            "annotation": annotation,
        }
        for position, old, index, annotation in rows
    ]
    return hl.Table.parallelize(content, hl.dtype(ROW), key=["locus", "alleles"])


def annotate(*entries, old=("A", "T"), index=1, fields=FIELDS, **config):
    rows = make_rows((110, list(old), index, list(entries)))
    found = annotate_variants(rows, GENES, AnnotationConfig(**config), fields=fields).consequences.collect()[
        0
    ]
    return [(item.gene, item.consequence, item.variant_class) for item in found]


def test_annotate_variants__worst_of_several_transcripts_in_each_gene():
    found = annotate(
        "T|intron_variant|A|ENSG1|protein_coding||",
        "T|missense_variant&splice_region_variant|A|ENSG1|protein_coding|benign(0.1)|tolerated(0.5)",
        "T|synonymous_variant|A|ENSG1|protein_coding||",
        "T|stop_gained|B|ENSG2.4|protein_coding||",
    )
    assert found == [(0, "missense_variant", "other_missense"), (1, "stop_gained", "plof")]


def test_annotate_variants__damaging_needs_both_predictors():
    both = "T|missense_variant|A|ENSG1|protein_coding|probably_damaging(0.99)|deleterious(0)"
    one = "T|missense_variant|B|ENSG2|protein_coding|probably_damaging(0.99)|deleterious_low_confidence(0)"
    assert [item[2] for item in annotate(both, one)] == ["damaging_missense", "other_missense"]


def test_annotate_variants__other_biotypes_do_not_count():
    entry = "T|stop_gained|A|ENSG1|nonsense_mediated_decay||"
    assert annotate(entry) == []
    assert annotate(entry, protein_coding_only=False) == [(0, "stop_gained", "plof")]


def test_annotate_variants__symbol_joins_where_the_id_is_unknown():
    assert annotate("T|inframe_deletion|B|4321|protein_coding||") == [
        (1, "inframe_deletion", "other_missense")
    ]


def test_annotate_variants__short_entries_and_unknown_genes():
    assert annotate(
        "T|synonymous_variant|A|ENSG1|protein_coding", "T|stop_gained|Z|ENSG9|protein_coding"
    ) == [(0, "synonymous_variant", "synonymous")]


def test_annotate_variants__loftee_decides_where_it_ran():
    fields = ["Allele", "Consequence", "Gene", "LoF"]
    found = annotate(
        "T|stop_gained|ENSG1|HC", "T|stop_gained|ENSG2|LC", "T|stop_gained|ENSG3|", fields=fields
    )
    assert [item[2] for item in found] == ["plof", "plof_low_confidence", "other"]


def test_annotate_variants__multi_allelic_by_notation():
    old = ("CA", "C", "CAT", "TA")
    entries = ("-|stop_gained|ENSG1", "AT|missense_variant|ENSG1")
    fields = ["Allele", "Consequence", "Gene"]
    # All but the last allele begin with C, so VEP leaves them untrimmed when TA stands beside them.
    assert annotate("C|stop_gained|ENSG1", "CAT|missense_variant|ENSG1", old=old, index=2, fields=fields) == [
        (0, "missense_variant", "other_missense")
    ]
    assert annotate(*entries, old=old[:3], index=1, fields=fields) == [(0, "stop_gained", "plof")]
    assert annotate(*entries, old=old[:3], index=2, fields=fields) == [
        (0, "missense_variant", "other_missense")
    ]


def test_annotate_variants__multi_allelic_by_allele_number():
    fields = ["Allele", "ALLELE_NUM", "Consequence", "Gene"]
    entries = ("x|1|stop_gained|ENSG1", "x|2|synonymous_variant|ENSG1")
    assert annotate(*entries, old=("A", "T", "G"), index=2, fields=fields) == [
        (0, "synonymous_variant", "synonymous")
    ]


def test_annotate_variants__record_that_was_split_after_annotation():
    entries = ("T|synonymous_variant|A|ENSG1|protein_coding", "G|stop_gained|A|ENSG1|protein_coding")
    assert annotate(*entries) == [(0, "synonymous_variant", "synonymous")]


@pytest.mark.parametrize(
    ("old", "index", "notation"),
    [
        (["A", "T"], 1, "T"),
        (["A", "AT"], 1, "T"),
        (["AT", "A"], 1, "-"),
        (["AT", "GC"], 1, "GC"),
        (["A", "AT", "G"], 1, "AT"),
        (["A", "AT", "*"], 2, "*"),
        (["A", "AT", "*"], 1, "T"),
        (["ATT", "A", "AT"], 2, "T"),
    ],
)
def test_vep_allele_expr__notation(old, index, notation):
    assert hl.eval(vep_allele_expr(hl.literal(old), hl.int32(index))) == notation


def test_own_allele_expr__notation_agrees_with_allele_number(shared_data):
    path = str(shared_data / "03_bcftools_csq_splitvep_norm/split-vep/split-vep.vcf")
    fields = csq_fields(AnnotationConfig(), hl.get_vcf_metadata(path)["info"]["CSQ"]["Description"], path)
    rows = hl.import_vcf(path, reference_genome="GRCh37").rows()
    rows = rows.select(annotation=rows.info.CSQ).checkpoint(hl.utils.new_temp_file("split-vep", "ht"))
    rows = hl.split_multi(rows, permit_shuffle=True, keep_star=True)
    rows = rows.filter(hl.len(rows.old_alleles) > 2)
    allele, number = fields.index("Allele"), fields.index("ALLELE_NUM")
    entries = rows.annotation.map(lambda text: text.split(r"\|")).map(
        lambda parts: hl.struct(Allele=parts[allele], ALLELE_NUM=parts[number])
    )
    rows = rows.annotate(
        by_notation=own_allele_expr(rows, entries, False), by_number=own_allele_expr(rows, entries, True)
    )
    compared = rows.select("old_alleles", "a_index", "by_notation", "by_number").collect()
    assert len(compared) == 70
    differing = [(row.old_alleles, row.a_index) for row in compared if row.by_notation != row.by_number]
    assert differing == []


def test_annotate_variants__loftee_call_of_chek2(shared_data):
    path = str(shared_data / "04_annotated_vcfs/glow/loftee.vcf")
    table = shared_data / "08_gene_tables/ensembl_genes/ensembl_grch37_protein_coding_genes.tsv.gz"
    genes, _ = read_genes(
        GenesConfig(path=str(table), columns=GeneColumns(gene_id="ensgene", contig="chr")), "GRCh37"
    )
    fields = csq_fields(AnnotationConfig(), hl.get_vcf_metadata(path)["info"]["CSQ"]["Description"], path)
    rows = hl.import_vcf(path, reference_genome="GRCh37").rows()
    rows = rows.select(annotation=rows.info.CSQ, old_alleles=rows.alleles, a_index=1)
    found = annotate_variants(rows, genes, AnnotationConfig(), fields=fields).consequences.collect()[0]
    assert [(genes["symbol"][item.gene], item.variant_class) for item in found] == [("CHEK2", "plof")]


def test_annotate_variants__intervals_give_every_overlapping_gene():
    rows = make_rows(*((position, ["A", "T"], 1, None) for position in (99, 100, 150, 200, 201, 350)))
    found = annotate_variants(rows, GENES, AnnotationConfig(kind="intervals"))
    genes = [[item.gene for item in row.consequences] for row in found.collect()]
    assert genes == [[], [0], [0, 1], [0, 1], [1], []]


def test_annotate_variants__padding_widens_both_ends():
    rows = make_rows(*((position, ["A", "T"], 1, None) for position in (89, 90, 310, 311)))
    found = annotate_variants(rows, GENES, AnnotationConfig(kind="intervals", padding=10))
    assert [len(row.consequences) for row in found.collect()] == [0, 1, 1, 0]


def test_annotate_variants__genes_of_another_build():
    genes = make_genes(("ENSG1", "A", 1, 248_956_422), ("ENSG2", "B", 1, 249_250_622))
    with pytest.raises(InputError, match=r"ENSG2: found 1:249250622, wanted a position of GRCh37"):
        annotate_variants(make_rows((5, ["A", "T"], 1, None)), genes, AnnotationConfig(kind="intervals"))


def test_annotate_variants__skat_intervals_count_all_matches(shared_data):
    folder = shared_data / "01_hail_test_resources"
    lines = [line.split() for line in (folder / "skat.interval_list").read_text().splitlines()]
    genes = pd.DataFrame(
        [(place, row[4], row[4], row[0], int(row[1]), int(row[2])) for place, row in enumerate(lines)],
        columns=["position", "gene_id", "symbol", "contig", "start", "end"],
    )
    rows = hl.import_vcf(str(folder / "sample2_split.vcf.bgz"), reference_genome="GRCh37").rows().select()
    rows = rows.checkpoint(hl.utils.new_temp_file("skat", "ht"))
    found = annotate_variants(rows, genes, AnnotationConfig(kind="intervals"))
    counts = found.aggregate(hl.agg.explode(hl.agg.counter, found.consequences.map(lambda item: item.symbol)))
    # The published single-match join gives 26, 16, 66, 29, 51: eight variants of Gene2 also lie in Gene1.
    assert counts == {"Gene1": 26, "Gene2": 24, "Gene3": 66, "Gene4": 29, "Gene5": 51}


def test_count_classes__variants_without_gene_or_annotation():
    rows = make_rows(
        (
            110,
            ["A", "T"],
            1,
            ["T|stop_gained|A|ENSG1|protein_coding", "T|stop_gained|B|ENSG2|protein_coding"],
        ),
        (120, ["A", "T"], 1, ["T|synonymous_variant|A|ENSG1|protein_coding"]),
        (130, ["A", "T"], 1, ["T|synonymous_variant|Z|ENSG9|protein_coding"]),
        (140, ["A", "T"], 1, None),
    )
    counts = count_classes(annotate_variants(rows, GENES, AnnotationConfig(), fields=FIELDS))
    assert counts == {"plof": 1, "synonymous": 1, "in no gene": 1, "not annotated": 1}
