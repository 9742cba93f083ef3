"""Gene models as GTF."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from etl.simulate.config import SimulateConfig
from etl.simulate.loci import Locus
from etl.simulate.reference import contig_name


def write_gtf(loci: list[Locus], config: SimulateConfig, path: Path) -> None:
    """
    Write gene, transcript, exon and CDS lines of every gene; 1-based, closed coordinates.

    One canonical transcript for a gene, without untranslated exons: every exon is wholly coding.
    """
    lines = [line for locus in loci if locus.is_gene for line in _gene_lines(locus, config.reference_genome)]
    path.write_text("#!genome-build " + config.reference_genome + "\n" + "".join(lines))


def _gene_lines(gene: Locus, reference_genome: str) -> Iterator[str]:
    contig = contig_name(reference_genome, gene.chromosome)
    names = {
        "gene_id": gene.gene_id,
        "gene_name": gene.symbol,
        "gene_biotype": "protein_coding",
        "gene_type": "protein_coding",
    }
    of_transcript = {**names, "transcript_id": gene.transcript_id, "transcript_type": "protein_coding"}
    tag = {"tag": "Ensembl_canonical"}
    yield _line(gene, contig, "gene", (gene.start, gene.end), names)
    yield _line(gene, contig, "transcript", (gene.start, gene.end), of_transcript | tag)
    phases = _phases(gene)
    order = gene.exons if gene.strand == "+" else gene.exons[::-1]
    for number, exon in enumerate(order, start=1):
        numbered = of_transcript | {"exon_number": str(number)}
        yield _line(gene, contig, "exon", exon, numbered | tag)
        yield _line(gene, contig, f"CDS {phases[number - 1]}", exon, numbered | tag)


def _phases(gene: Locus) -> list[int]:
    """Bases to skip to the first whole codon of each exon, in the order of translation."""
    order = gene.exons if gene.strand == "+" else gene.exons[::-1]
    phases, coded = [], 0
    for start, end in order:
        phases.append(-coded % 3)
        coded += end - start + 1
    return phases


def _line(gene: Locus, contig: str, feature: str, interval: tuple[int, int], names: dict[str, str]) -> str:
    """One line; a coding feature has its phase behind its name."""
    name, _, phase = feature.partition(" ")
    columns = (contig, "exoshard", name, str(interval[0]), str(interval[1]), ".", gene.strand, phase or ".")
    attributes = " ".join(f'{key} "{value}";' for key, value in names.items())
    return "\t".join((*columns, attributes)) + "\n"
