"""Regions of long-range linkage disequilibrium: inversions, centromeres, the MHC.

Pruning within a window leaves correlated markers there, and a component or a kinship made of one haplotype.
"""

from __future__ import annotations

import pyarrow.compute as pc

from etl.genome import GenomeName, genome

_REGIONS = (
    # chromosome, GRCh37: first, last, GRCh38: first, last
    (1, 48_227_413, 52_227_412, 47_761_741, 51_761_740),
    (2, 86_146_489, 101_133_568, 85_919_366, 100_517_106),
    (2, 134_783_530, 138_283_530, 134_025_959, 137_525_960),  # LCT
    (2, 183_291_755, 190_291_755, 182_427_028, 189_427_029),
    (3, 47_524_996, 50_024_996, 47_483_506, 49_987_563),
    (3, 83_417_310, 86_917_310, 83_368_159, 86_868_160),
    (3, 88_917_310, 96_017_310, 88_868_160, 96_298_466),
    (5, 44_464_243, 50_464_243, 44_464_141, 51_168_409),
    (5, 97_972_100, 100_472_101, 98_636_396, 101_136_397),
    (5, 128_972_101, 131_972_101, 129_636_408, 132_636_409),
    (5, 135_472_101, 138_472_101, 136_136_412, 139_136_412),
    (6, 25_392_021, 33_392_022, 25_391_793, 33_424_245),  # the MHC
    (6, 56_892_041, 63_942_041, 57_027_243, 63_232_136),
    (6, 139_958_307, 142_458_307, 139_637_170, 142_137_170),
    (7, 55_032_506, 66_362_565, 54_964_813, 66_897_578),
    (8, 7_962_590, 11_962_591, 8_105_068, 12_105_082),  # the inversion of 8p23
    (8, 42_880_843, 49_837_447, 43_025_700, 48_924_888),
    (8, 111_930_824, 114_930_824, 110_918_595, 113_918_595),
    (10, 36_959_994, 43_679_994, 36_671_066, 43_184_546),
    (11, 46_043_424, 57_243_424, 46_021_873, 57_475_951),
    (11, 87_860_352, 90_860_352, 88_127_184, 91_127_184),
    (12, 33_108_733, 41_713_733, 32_955_799, 41_319_931),
    (12, 111_015_617, 113_515_617, 110_577_812, 113_077_812),
    (17, 40_546_474, 44_644_684, 42_394_456, 46_567_318),  # the inversion of 17q21.31
    (20, 32_536_339, 35_066_586, 33_948_533, 36_438_183),
)
"""Price et al. 2008, AJHG 83:132; Anderson et al. 2010, Nature Protocols 5:1564, have most of them.

Published on NCBI36, lifted over to GRCh37 and from there to GRCh38; the ends differ by at most one base from
those in plinkQC. The inversion of chromosome 17 is in neither: its region is that of GWASTools
(pcaSnpFilters).
"""


def long_range_ld(name: GenomeName) -> list[tuple[str, int, int]]:
    """Contig, first and last position (1-based, closed) of each region, in genome order."""
    offset = 1 if name == "GRCh37" else 3
    return [(genome(name).contig(str(region[0])), region[offset], region[offset + 1]) for region in _REGIONS]


def outside_long_range_ld(name: GenomeName) -> pc.Expression:
    """Condition on a cohort's columns `contig` and `position`: the variant is in none of the regions."""
    outside = pc.scalar(True)
    contig, position = pc.field("contig"), pc.field("position")
    for bare, first, last in long_range_ld(name):
        outside &= (contig != bare) | (position < first) | (position > last)
    return outside
