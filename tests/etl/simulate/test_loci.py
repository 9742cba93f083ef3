import itertools

import pytest

from contract.config import build_config
from etl.simulate import reference
from etl.simulate.config import SimulateConfig
from etl.simulate.loci import EXON_FLANK, Locus, lay_out


def layout(**settings: object) -> list[Locus]:
    settings = {
        "out": "x",
        "genes": {"count": 600, "backbone_markers": 100, "overlap_share": 0.1},
        **settings,
    }
    return lay_out(build_config(SimulateConfig, settings, "test"))


@pytest.mark.parametrize("genome", ["GRCh37", "GRCh38"])
def test_lay_out__stays_on_the_chromosomes(genome):
    for locus in layout(reference_genome=genome):
        assert locus.start > EXON_FLANK
        assert locus.end + EXON_FLANK < reference.contig_length(genome, locus.chromosome)


def test_lay_out__counts_order_and_numbers():
    loci = layout()
    genes = [locus for locus in loci if locus.is_gene]
    assert len(genes) == 600
    assert len(loci) == 700
    assert [locus.index for locus in loci] == list(range(700))
    assert [gene.number for gene in genes] == list(range(1, 601))
    places = [(locus.chromosome, locus.start) for locus in loci]
    assert places == sorted(places)
    assert {gene.chromosome for gene in genes} == set(range(23))


def test_lay_out__exons_are_codons_in_order():
    for gene in layout():
        if gene.is_gene:
            edges = [edge for exon in gene.exons for edge in exon]
            assert edges == sorted(edges)
            assert (gene.start, gene.end) == (edges[0], edges[-1])
            assert gene.coding_length % 3 == 0


def test_lay_out__only_marked_neighbours_overlap():
    genes = [locus for locus in layout() if locus.is_gene]
    shared = 0
    for before, here in itertools.pairwise(genes):
        if before.chromosome == here.chromosome and here.start <= before.end:
            assert before.overlaps
            assert here.overlaps
            assert before.strand != here.strand
            shared += 1
    assert 20 < shared < 100


def test_lay_out__one_gene_in_the_pseudo_autosomal_region():
    genes = [locus for locus in layout() if locus.is_gene and locus.chromosome == reference.X]
    flagged = [gene for gene in genes if gene.pseudo_autosomal]
    assert len(flagged) == 1
    for gene in genes:
        inside = reference.is_pseudo_autosomal("GRCh38", gene.chromosome, gene.start, gene.end)
        assert inside == gene.pseudo_autosomal
        assert gene.hemizygous_in_men != inside


def test_lay_out__markers_off_target_and_on_y():
    loci = layout(genes={"count": 30, "backbone_markers": 40, "off_target_markers": 20, "y_markers": 5})
    assert sum(locus.off_target for locus in loci) == 20
    assert not any(locus.off_target for locus in loci if locus.is_gene or locus.chromosome == reference.Y)
    on_y = [locus for locus in loci if locus.chromosome == reference.Y]
    assert len(on_y) == 5
    assert all(locus.hemizygous_in_men for locus in on_y)
    assert len(loci) == 95


def test_captured__flanks_that_meet_are_merged():
    gene = Locus(0, 0, 100, 500, exons=((100, 200), (250, 300), (400, 500)))
    assert gene.captured() == ((70, 330), (370, 530))
