"""Names of contigs in formats whose names say nothing of the genome build."""

from __future__ import annotations

from etl.genome import Genome

_CODES = {"23": "X", "24": "Y", "25": "X", "XY": "X", "PAR1": "X", "PAR2": "X", "26": "MT", "M": "MT"}
"""PLINK's numbers and names of human chromosomes (plink 1.9, --chr-set); the pseudo-autosomal regions are
told apart by position."""


def contig_of(name: str, genome: Genome) -> str:
    """The genome's own name of a contig; a name that means no primary contig stays as it is.

    PLINK and BGEN write '1', '01', 'chr1', 'X' or '23', whatever the build.
    """
    bare = name.upper().removeprefix("CHR").lstrip("0") or name
    contig = genome.contig(_CODES.get(bare, bare))
    return contig if contig in genome.lengths else name
