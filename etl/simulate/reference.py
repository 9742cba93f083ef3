"""Facts of the two human reference genomes, and a stand-in for their sequence."""

from __future__ import annotations

import numpy as np

# Numbers of protein-coding genes in Ensembl, GRCh38.
CODING_GENES = {
    "1": 2061, "2": 1247, "3": 1081, "4": 757, "5": 882, "6": 1051, "7": 929, "8": 701, "9": 777,
    "10": 730, "11": 1317, "12": 1037, "13": 322, "14": 616, "15": 601, "16": 857, "17": 1186,
    "18": 266, "19": 1476, "20": 546, "21": 220, "22": 447, "X": 845,
}  # fmt: skip
CHROMOSOMES = (*CODING_GENES, "Y")

# Base pairs, from the assembly reports of the Genome Reference Consortium.
_LENGTHS = {
    "GRCh37": (
        249250621, 243199373, 198022430, 191154276, 180915260, 171115067, 159138663, 146364022, 141213431,
        135534747, 135006516, 133851895, 115169878, 107349540, 102531392, 90354753, 81195210, 78077248,
        59128983, 63025520, 48129895, 51304566, 155270560, 59373566,
    ),
    "GRCh38": (
        248956422, 242193529, 198295559, 190214555, 181538259, 170805979, 159345973, 145138636, 138394717,
        133797422, 135086622, 133275309, 114364328, 107043718, 101991189, 90338345, 83257441, 80373285,
        58617616, 64444167, 46709983, 50818468, 156040895, 57227415,
    ),
}  # fmt: skip

# First and last base, 1-based and closed.
PSEUDO_AUTOSOMAL_X = {
    "GRCh37": ((60001, 2699520), (154931044, 155260560)),
    "GRCh38": ((10001, 2781479), (155701383, 156030895)),
}
X, Y = CHROMOSOMES.index("X"), CHROMOSOMES.index("Y")
BASES = np.frombuffer(b"ACGT", dtype=np.uint8)


def contig_length(reference_genome: str, chromosome: int) -> int:
    """Length in base pairs of the chromosome with this index in `CHROMOSOMES`."""
    return _LENGTHS[reference_genome][chromosome]


def contig_name(reference_genome: str, chromosome: int) -> str:
    """Name as the build's VCF files write it: `1` in GRCh37, `chr1` in GRCh38."""
    prefix = "chr" if reference_genome == "GRCh38" else ""
    return prefix + CHROMOSOMES[chromosome]


def is_pseudo_autosomal(reference_genome: str, chromosome: int, start: int, end: int) -> bool:
    """True where [start, end], 1-based and closed, touches a pseudo-autosomal region of X."""
    if chromosome != X:
        return False
    return any(start <= last and end >= first for first, last in PSEUDO_AUTOSOMAL_X[reference_genome])


def pseudo_bases(chromosome: int, positions: np.ndarray) -> np.ndarray:
    """
    Base codes 0..3 (A, C, G, T) of an invented reference sequence.

    A hash of chromosome and position (the finaliser of SplitMix64, Steele et al. 2014), so that all
    alleles agree about the reference base without a sequence in memory. It is not the human sequence.
    """
    with np.errstate(over="ignore"):
        state = positions.astype(np.uint64) + np.uint64((chromosome + 1) << 40)
        state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        state = state ^ (state >> np.uint64(31))
    return (state & np.uint64(3)).astype(np.int64)
