"""The two reference genomes: lengths of the primary contigs and the pseudo-autosomal regions.

Written down here so that files can be checked, and records placed, without starting Hail. Source: Genome
Reference Consortium, GRCh37.p13 and GRCh38.p14; a test compares them with Hail's reference genomes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

GenomeName = Literal["GRCh37", "GRCh38"]

BARE_CONTIGS = (*map(str, range(1, 23)), "X", "Y", "MT")
"""Primary contigs in the order of both reference genomes."""

_LENGTHS_37 = (
    249250621, 243199373, 198022430, 191154276, 180915260, 171115067, 159138663, 146364022, 141213431,
    135534747, 135006516, 133851895, 115169878, 107349540, 102531392, 90354753, 81195210, 78077248,
    59128983, 63025520, 48129895, 51304566, 155270560, 59373566, 16569,
)  # fmt: skip
_LENGTHS_38 = (
    248956422, 242193529, 198295559, 190214555, 181538259, 170805979, 159345973, 145138636, 138394717,
    133797422, 135086622, 133275309, 114364328, 107043718, 101991189, 90338345, 83257441, 80373285,
    58617616, 64444167, 46709983, 50818468, 156040895, 57227415, 16569,
)  # fmt: skip


Par = dict[str, tuple[tuple[int, int], ...]]


@dataclass(frozen=True)
class Genome:
    """A reference genome; positions are 1-based, intervals closed."""

    name: GenomeName
    lengths: dict[str, int]
    """Contig, in this genome's style of names and order -> base pairs."""
    par: Par
    """Pseudo-autosomal regions of X and Y."""

    def contig(self, bare: str) -> str:
        """Name of a bare chromosome ('1' … 'X', 'Y', 'MT') in this genome."""
        if self.name == "GRCh37":
            return bare
        return "chrM" if bare == "MT" else f"chr{bare}"

    def region(self, contig: str, position: int) -> str:
        """One of `etl.cohort.schema.REGIONS` for a position of a primary contig."""
        bare = contig.removeprefix("chr")
        if bare in ("X", "Y"):
            in_par = any(first <= position <= last for first, last in self.par[contig])
            return "par" if in_par else bare.lower()
        return "mt" if bare in ("M", "MT") else "autosome"


def genome(name: GenomeName) -> Genome:
    """The reference genome of that name."""
    return GENOMES[name]


def _genome(
    name: GenomeName, lengths: tuple[int, ...], par: dict[str, tuple[tuple[int, int], ...]]
) -> Genome:
    bare = Genome(name, {}, {})
    return Genome(
        name,
        {bare.contig(contig): length for contig, length in zip(BARE_CONTIGS, lengths, strict=True)},
        {bare.contig(contig): intervals for contig, intervals in par.items()},
    )


GENOMES: dict[GenomeName, Genome] = {
    "GRCh37": _genome(
        "GRCh37",
        _LENGTHS_37,
        {"X": ((60001, 2699520), (154931044, 155260560)), "Y": ((10001, 2649520), (59034050, 59363566))},
    ),
    "GRCh38": _genome(
        "GRCh38",
        _LENGTHS_38,
        {"X": ((10001, 2781479), (155701383, 156030895)), "Y": ((10001, 2781479), (56887903, 57217415))},
    ),
}
