from itertools import pairwise

import pytest

from etl.genome import GENOMES, GenomeName
from etl.qc.long_range_ld import long_range_ld


@pytest.mark.parametrize("name", list(GENOMES))
def test_long_range_ld__regions_in_order_inside_their_contigs(name: GenomeName):
    regions, lengths = long_range_ld(name), GENOMES[name].lengths
    places = [(list(lengths).index(contig), first, last) for contig, first, last in regions]
    assert places == sorted(places)
    for contig, first, last in regions:
        assert 0 < first < last < lengths[contig]
        assert 1e6 < last - first < 20e6
    for (contig, _, last), (other, first, _) in pairwise(regions):
        assert contig != other or last < first


@pytest.mark.parametrize(
    ("name", "contig", "position"),
    [
        ("GRCh37", "2", 136_608_646),  # rs4988235, lactase persistence
        ("GRCh38", "chr2", 135_851_076),
        ("GRCh37", "6", 32_546_547),  # HLA-DRB1
        ("GRCh38", "chr6", 32_578_770),
        ("GRCh37", "17", 43_971_748),  # MAPT, on the inversion of 17q21.31
        ("GRCh38", "chr17", 45_894_382),
    ],
)
def test_long_range_ld__genes_that_are_known_for_it(name: GenomeName, contig: str, position: int):
    inside = [first <= position <= last for other, first, last in long_range_ld(name) if other == contig]
    assert sum(inside) == 1
