"""Layout of genes and backbone markers on the chromosomes."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from etl.simulate import reference
from etl.simulate.config import GenesConfig, SimulateConfig
from etl.simulate.rng import generator

EXON_FLANK = 30  # base pairs beside an exon that capture still covers
BACKBONE_LENGTH = 3_000  # base pairs searched for one common SNV
_MARGIN = 3_000_000  # base pairs kept free at both ends of a chromosome
_MINIMUM_EXON = 40


@dataclass(frozen=True)
class Locus:
    """
    A gene, or a marker (then without exons).

    Coordinates are 1-based and closed, as in GTF; exons ascend along the chromosome and are wholly coding.
    `constraint` is a gene's selection coefficient against heterozygotes (s_het) over that of the median gene.
    """

    index: int
    chromosome: int
    start: int
    end: int
    exons: tuple[tuple[int, int], ...] = ()
    strand: str = "+"
    number: int = 0
    overlaps: bool = False
    pseudo_autosomal: bool = False
    off_target: bool = False
    constraint: float = 1.0

    @property
    def is_gene(self) -> bool:
        """False for a marker."""
        return bool(self.exons)

    @property
    def gene_id(self) -> str:
        """Stable id, in the place of Ensembl's."""
        return f"SIMG{self.number:08d}"

    @property
    def transcript_id(self) -> str:
        """Id of the one transcript."""
        return f"SIMT{self.number:08d}"

    @property
    def symbol(self) -> str:
        """Gene symbol."""
        return f"SIM{self.number}"

    @property
    def coding_length(self) -> int:
        """Base pairs in exons."""
        return sum(end - start + 1 for start, end in self.exons)

    @property
    def hemizygous_in_men(self) -> bool:
        """True on Y, and on X outside its pseudo-autosomal regions."""
        return self.chromosome == reference.Y or (
            self.chromosome == reference.X and not self.pseudo_autosomal
        )

    def captured(self) -> tuple[tuple[int, int], ...]:
        """Merged intervals, 1-based and closed, in which variants are seen."""
        if not self.exons:
            return ((self.start, self.end),)
        merged: list[tuple[int, int]] = []
        for start, end in self.exons:
            if merged and start - EXON_FLANK <= merged[-1][1] + 1:
                merged[-1] = (merged[-1][0], end + EXON_FLANK)
            else:
                merged.append((start - EXON_FLANK, end + EXON_FLANK))
        return tuple(merged)


def lay_out(config: SimulateConfig) -> list[Locus]:
    """
    Place all loci, sorted by chromosome and start; `index` is the place in the list.

    Genes are spread over 1-22 and X in proportion to the true numbers of coding genes, at random
    distances. Markers follow the chromosomes' lengths; those of Y come last. Where X has ten genes or more,
    its first lies in the pseudo-autosomal region.
    """
    rng = generator(config.seed, "layout")
    genes_by_chromosome = _apportion(config.genes.count, np.array(list(reference.CODING_GENES.values())))
    with_genes = range(len(reference.CODING_GENES))
    lengths = np.array([_length(config, chromosome) for chromosome in with_genes])
    markers = config.genes.backbone_markers + config.genes.off_target_markers
    placed: list[Locus] = []
    for chromosome, counts in enumerate(zip(genes_by_chromosome, _apportion(markers, lengths), strict=True)):
        found = _lay_out_chromosome(rng, config, chromosome, (int(counts[0]), int(counts[1])))
        placed.extend(sorted(found, key=lambda locus: (locus.start, locus.end)))
    placed += _lay_out_chromosome(rng, config, reference.Y, (0, config.genes.y_markers))
    placed = _off_target_marked(placed, config)
    numbers = np.cumsum([locus.is_gene for locus in placed])
    constraint = np.exp(
        generator(config.seed, "constraint").normal(0, config.genes.constraint_sigma, len(placed))
    )
    return [
        replace(locus, index=i, number=int(numbers[i]), constraint=float(constraint[i]))
        for i, locus in enumerate(placed)
    ]


def _off_target_marked(placed: list[Locus], config: SimulateConfig) -> list[Locus]:
    """The wanted number of markers, drawn from all but those of Y, lie outside the capture intervals."""
    candidates = [
        i for i, locus in enumerate(placed) if not locus.is_gene and locus.chromosome != reference.Y
    ]
    rng = generator(config.seed, "off target")
    result = list(placed)
    for i in rng.permutation(candidates)[: config.genes.off_target_markers]:
        result[i] = replace(result[i], off_target=True)
    return result


def _length(config: SimulateConfig, chromosome: int) -> int:
    return reference.contig_length(config.reference_genome, chromosome)


def _apportion(total: int, weights: np.ndarray) -> np.ndarray:
    """Split `total` in proportion to `weights` by largest remainders."""
    exact = total * weights / weights.sum()
    counts = np.floor(exact).astype(int)
    order = np.argsort(-(exact - counts), kind="stable")
    counts[order[: total - counts.sum()]] += 1
    return counts


def _lay_out_chromosome(
    rng: np.random.Generator, config: SimulateConfig, chromosome: int, counts: tuple[int, int]
) -> list[Locus]:
    genes, markers = counts
    if not genes + markers:
        return []
    is_gene, joins = _order(rng, genes, markers, config.genes.overlap_share)
    shapes = [_gene_shape(rng, config.genes) if gene else () for gene in is_gene]
    spans = np.array([shape[-1][1] if shape else BACKBONE_LENGTH for shape in shapes], dtype=np.int64)
    starts = _spread(rng, spans, _length(config, chromosome))
    loci = [
        Locus(0, chromosome, int(start), int(start + span - 1), _shifted(shape, int(start) - 1))
        for start, span, shape in zip(starts, spans, shapes, strict=True)
    ]
    loci = [replace(locus, strand="+-"[int(rng.integers(2))]) for locus in loci]
    if chromosome == reference.X and genes >= 10:
        first = int(np.flatnonzero(is_gene)[0])
        loci[first] = replace(_moved(loci[first], 1_000_000 - loci[first].start), pseudo_autosomal=True)
    return _overlap_marked(loci, joins)


def _order(
    rng: np.random.Generator, genes: int, markers: int, overlap_share: float
) -> tuple[list[bool], list[bool]]:
    """Genes and markers in random order: which are genes, and which overlap the gene just before them."""
    units = [[(False, False)]] * markers
    while genes > 0:
        pair = genes > 1 and rng.random() < overlap_share
        units.append([(True, False), (True, True)] if pair else [(True, False)])
        genes -= len(units[-1])
    places = [place for i in rng.permutation(len(units)) for place in units[i]]
    return [is_gene for is_gene, _ in places], [joins for _, joins in places]


def _gene_shape(rng: np.random.Generator, config: GenesConfig) -> tuple[tuple[int, int], ...]:
    """Exons of one gene, relative to its first base (1-based, closed); coding length a multiple of three."""
    drawn = np.exp(rng.normal(np.log(config.coding_length_median), config.coding_length_sigma))
    coding = int(np.clip(drawn, 600, 6_000)) // 3 * 3
    number = int(np.clip(rng.poisson(coding / 220), 2, 12))
    lengths = _MINIMUM_EXON + np.floor(
        rng.dirichlet(np.full(number, 3.0)) * (coding - number * _MINIMUM_EXON)
    )
    lengths[-1] += coding - lengths.sum()
    introns = np.clip(np.exp(rng.normal(np.log(config.intron_length_median), 0.8, number - 1)), 90, 8_000)
    starts = 1 + np.concatenate([[0], np.cumsum(lengths[:-1] + np.floor(introns))]).astype(int)
    return tuple((int(start), int(start + length - 1)) for start, length in zip(starts, lengths, strict=True))


def _spread(rng: np.random.Generator, spans: np.ndarray, length: int) -> np.ndarray:
    """Starts of consecutive, disjoint spans with random gaps between them."""
    minimum_gap = 2 * EXON_FLANK + 100
    free = length - 2 * _MARGIN - int(spans.sum()) - minimum_gap * (len(spans) + 1)
    gaps = np.floor(rng.dirichlet(np.ones(len(spans) + 1)) * free).astype(np.int64) + minimum_gap
    return _MARGIN + np.cumsum(gaps[:-1]) + np.concatenate([[0], np.cumsum(spans)[:-1]]).astype(np.int64)


def _shifted(exons: tuple[tuple[int, int], ...], offset: int) -> tuple[tuple[int, int], ...]:
    return tuple((start + offset, end + offset) for start, end in exons)


def _moved(locus: Locus, offset: int) -> Locus:
    return replace(
        locus, start=locus.start + offset, end=locus.end + offset, exons=_shifted(locus.exons, offset)
    )


def _overlap_marked(loci: list[Locus], joins: list[bool]) -> list[Locus]:
    """Pull the marked genes left until half of the shorter exon is shared with the gene before."""
    result = list(loci)
    for i in np.flatnonzero(joins):
        before, here = result[i - 1], result[i]
        if before.pseudo_autosomal:
            continue
        shared = min(_exon_length(before.exons[-1]), _exon_length(here.exons[0])) // 2
        moved = _moved(here, before.end - shared + 1 - here.start)
        result[i - 1] = replace(before, overlaps=True)
        result[i] = replace(moved, overlaps=True, strand="-" if before.strand == "+" else "+")
    return result


def _exon_length(exon: tuple[int, int]) -> int:
    return exon[1] - exon[0] + 1
