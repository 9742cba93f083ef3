from pathlib import Path
from unittest.mock import ANY

import pandas as pd
import pyarrow as pa
import pysam
import pytest

from contract.errors import InputError
from etl.annotate.config import AnnotationConfig, GeneColumns, GenesConfig
from etl.annotate.consequence import Consequence, Site
from etl.annotate.csq import own_alleles, vep_allele
from etl.annotate.csq_format import csq_fields
from etl.annotate.genes import read_genes
from etl.annotate.header import AnnotationHeader
from etl.annotate.severity import TERMS
from etl.annotate.variants import (
    READ_COLUMNS,
    annotate_variants,
    count_classes,
    make_annotator,
)
from etl.genome import genome
from etl.ingest.alleles import minimal_representation

FIELDS = ["Allele", "Consequence", "SYMBOL", "Gene", "BIOTYPE", "PolyPhen", "SIFT"]


def make_genes(*genes):
    rows = [(name, symbol, "1", start, end) for name, symbol, start, end in genes]
    frame = pd.DataFrame(rows, columns=["gene_id", "symbol", "contig", "start", "end"])
    frame.insert(0, "position", range(len(frame)))
    return frame


GENES = make_genes(("ENSG1", "A", 100, 200), ("ENSG2", "B", 150, 300), ("ENSG3", None, 400, 500))


def site(position: int, old: list[str], index: int, annotation: list[str] | None) -> Site:
    return Site("1", position, old[0], old[index], old, index, annotation)


def found(
    *sites: Site, genes: pd.DataFrame = GENES, fields: list[str] = FIELDS, **config
) -> list[list[Consequence] | None]:
    """Consequences of each site."""
    annotator = make_annotator(
        genes, AnnotationConfig(**config), genome("GRCh37"), header=AnnotationHeader(tuple(fields))
    )
    return [annotator(one) for one in sites]


def annotate(*entries, old=("A", "T"), index=1, fields=FIELDS, **config):
    (consequences,) = found(site(110, list(old), index, list(entries)), fields=fields, **config)
    return [(item.gene, item.consequence, item.variant_class) for item in consequences]


def test_terms__as_gnomad_ranks_them():
    vep = pytest.importorskip("gnomad.utils.vep")
    assert list(TERMS) == vep.CSQ_ORDER


def test_annotate_variants__worst_of_several_transcripts_in_each_gene():
    consequences = annotate(
        "T|intron_variant|A|ENSG1|protein_coding||",
        "T|missense_variant&splice_region_variant|A|ENSG1|protein_coding|benign(0.1)|tolerated(0.5)",
        "T|synonymous_variant|A|ENSG1|protein_coding||",
        "T|stop_gained|B|ENSG2.4|protein_coding||",
    )
    assert consequences == [(0, "missense_variant", "other_missense"), (1, "stop_gained", "plof")]


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


def test_annotate_variants__genes_outside_the_axis():
    assert annotate(
        "T|synonymous_variant|A|ENSG1|protein_coding||", "T|stop_gained|Z|ENSG9|protein_coding||"
    ) == [(0, "synonymous_variant", "synonymous")]


def test_annotate_variants__loftee_decides_where_it_ran():
    fields = ["Allele", "Consequence", "Gene", "LoF"]
    consequences = annotate(
        "T|stop_gained|ENSG1|HC", "T|stop_gained|ENSG2|LC", "T|stop_gained|ENSG3|", fields=fields
    )
    assert [item[2] for item in consequences] == ["plof", "plof_low_confidence", "plof_low_confidence"]
    # What LOFTEE never judges stays what its term says.
    assert annotate("T|intron_variant|ENSG1|", fields=fields) == [(0, "intron_variant", "other")]


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
    entries = ("T|synonymous_variant|A|ENSG1|protein_coding||", "G|stop_gained|A|ENSG1|protein_coding||")
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
def test_vep_allele__notation(old, index, notation):
    assert vep_allele(old, index) == notation


def shared_sites(path: Path) -> tuple[list[str], list[Site]]:
    """Sub-fields and split alleles of an annotated file."""
    sites = []
    with pysam.VariantFile(str(path)) as records:
        fields = csq_fields(AnnotationConfig(), records.header.info["CSQ"].description, path)
        for record in records:
            old = [record.ref, *record.alts]
            for place in range(1, len(old)):
                minimal = minimal_representation(record.pos, record.ref, old[place])
                annotation = list(record.info["CSQ"]) if "CSQ" in record.info else None
                sites.append(Site(record.chrom, *minimal, old, place, annotation))
    return fields, sites


def test_own_alleles__notation_agrees_with_allele_number(shared_data):
    fields, sites = shared_sites(shared_data / "03_bcftools_csq_splitvep_norm/split-vep/split-vep.vcf")
    several = [one for one in sites if len(one.old_alleles) > 2]
    assert len(several) == 70
    for one in several:
        rows = [text.split("|") for text in one.annotation]
        alleles, numbers = ([row[fields.index(name)] for row in rows] for name in ("Allele", "ALLELE_NUM"))
        assert own_alleles(one, alleles, [""] * len(rows)) == own_alleles(one, alleles, numbers)


def test_annotate_variants__loftee_call_of_chek2(shared_data):
    fields, sites = shared_sites(shared_data / "04_annotated_vcfs/glow/loftee.vcf")
    table = shared_data / "08_gene_tables/ensembl_genes/ensembl_grch37_protein_coding_genes.tsv.gz"
    genes, _ = read_genes(
        GenesConfig(path=str(table), columns=GeneColumns(gene_id="ensgene", contig="chr")), "GRCh37"
    )
    (consequences,) = found(sites[0], genes=genes, fields=fields)
    assert [(genes["symbol"][item.gene], item.variant_class) for item in consequences] == [("CHEK2", "plof")]


def in_genes(*positions: int, genes: pd.DataFrame = GENES, **config) -> list[list[int]]:
    sites = [site(position, ["A", "T"], 1, None) for position in positions]
    return [[item.gene for item in one] for one in found(*sites, genes=genes, kind="intervals", **config)]


def test_annotate_variants__intervals_give_every_overlapping_gene():
    assert in_genes(99, 100, 150, 200, 201, 350) == [[], [0], [0, 1], [0, 1], [1], []]


def test_annotate_variants__a_long_gene_that_began_far_before():
    genes = make_genes(("ENSG1", "A", 100, 9_000), *((f"G{n}", f"G{n}", n, n + 5) for n in range(200, 300)))
    assert in_genes(8_999, 203, genes=genes) == [[0], [0, 1, 2, 3, 4]]


def test_annotate_variants__padding_widens_both_ends():
    assert [len(one) for one in in_genes(89, 90, 310, 311, padding=10)] == [0, 1, 1, 0]


def test_annotate_variants__genes_of_another_build():
    genes = make_genes(("ENSG1", "A", 1, 248_956_422), ("ENSG2", "B", 1, 249_250_622))
    with pytest.raises(InputError, match=r"ENSG2: found 1:249250622, wanted a position of GRCh37"):
        in_genes(5, genes=genes)


def test_annotate_variants__skat_intervals_count_all_matches(shared_data, hail_session):
    hl = pytest.importorskip("hail")
    folder = shared_data / "01_hail_test_resources"
    lines = [line.split() for line in (folder / "skat.interval_list").read_text().splitlines()]
    genes = pd.DataFrame(
        [(place, row[4], row[4], row[0], int(row[1]), int(row[2])) for place, row in enumerate(lines)],
        columns=["position", "gene_id", "symbol", "contig", "start", "end"],
    )
    rows = hl.import_vcf(str(folder / "sample2_split.vcf.bgz"), reference_genome="GRCh37").rows().select()
    rows = rows.checkpoint(hl.utils.new_temp_file("skat", "ht"))
    loci = rows.locus.collect()
    sites = [Site(locus.contig, locus.position, "A", "T", ["A", "T"], 1, None) for locus in loci]
    by_site = found(*sites, genes=genes, kind="intervals")
    counts = pd.Series([item.symbol for one in by_site for item in one]).value_counts().to_dict()
    # The published single-match join gives 26, 16, 66, 29, 51: eight variants of Gene2 also lie in Gene1.
    assert counts == {"Gene1": 26, "Gene2": 24, "Gene3": 66, "Gene4": 29, "Gene5": 51}
    intervals = hl.import_locus_intervals(str(folder / "skat.interval_list"), reference_genome="GRCh37")
    joined = intervals.index(rows.locus, all_matches=True).target.collect()
    assert [sorted(item.symbol for item in one) for one in by_site] == [sorted(one or []) for one in joined]


def test_count_classes__variants_without_gene_or_annotation():
    annotations = (
        ["T|stop_gained|A|ENSG1|protein_coding||", "T|stop_gained|B|ENSG2|protein_coding||"],
        ["T|synonymous_variant|A|ENSG1|protein_coding||"],
        ["T|synonymous_variant|Z|ENSG9|protein_coding||"],
        None,
    )
    consequences = found(*(site(110, ["A", "T"], 1, annotation) for annotation in annotations))
    assert count_classes(consequences) == {
        "plof": 1, "synonymous": 1, "in no gene": 1, "not annotated": 1,
    }  # fmt: skip


def test_annotate_variants__only_variants_that_passed():
    same = site(110, ["A", "T"], 1, ["T|stop_gained|A|ENSG1|protein_coding||"])._asdict()
    same |= {"allele_count": 3, "allele_number": 90}
    rows = [same | {"variant": place, "passes": place > 0} for place in range(3)]
    batch = pa.RecordBatch.from_pylist(rows).select(list(READ_COLUMNS))
    annotator = make_annotator(
        GENES, AnnotationConfig(), genome("GRCh37"), header=AnnotationHeader(tuple(FIELDS))
    )
    (annotated,) = annotate_variants(iter([batch]), annotator)
    told = [(one["variant"], one["allele_count"], one["consequences"]) for one in annotated.to_pylist()]
    consequence = {"gene": 0, "symbol": "A", "consequence": "stop_gained", "variant_class": "plof"}
    consequence |= {"loftee": None, "scores": [ANY, ANY], "terms": ["stop_gained"], "weight": ANY}
    assert told == [(1, 3, [consequence]), (2, 3, [consequence])]
