import hail as hl
import pytest

from etl.genome import GENOMES, genome


@pytest.mark.usefixtures("hail_session")
@pytest.mark.parametrize("name", list(GENOMES))
def test_genome__lengths_are_hail_s(name: str):
    reference = hl.get_reference(name)
    assert genome(name).lengths == {contig: reference.lengths[contig] for contig in genome(name).lengths}
    assert list(genome(name).lengths) == reference.contigs[:25]


@pytest.mark.usefixtures("hail_session")
@pytest.mark.parametrize("name", list(GENOMES))
def test_region__is_hail_s_at_every_edge(name: str):
    reference = genome(name)
    places = [
        (contig, edge + step)
        for contig, regions in reference.par.items()
        for edge in {position for region in regions for position in region}
        for step in (-1, 0, 1)
        if 1 <= edge + step <= reference.lengths[contig]
    ]
    loci = [hl.locus(contig, position, name) for contig, position in places]
    wanted = hl.eval([hl.struct(x=locus.in_x_nonpar(), y=locus.in_y_nonpar()) for locus in loci])
    found = [reference.region(*place) for place in places]
    assert found == ["x" if row.x else "y" if row.y else "par" for row in wanted]
    assert reference.region(reference.contig("1"), 5) == "autosome"
    assert reference.region(reference.contig("MT"), 5) == "mt"
