"""Variants of one locus: consequence, selection, alleles, and who carries them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from etl.simulate import reference
from etl.simulate.coalescent import simulate_haplotypes
from etl.simulate.config import ConsequencesConfig, SimulateConfig
from etl.simulate.loci import Locus
from etl.simulate.rng import generator

BACKBONE_MINIMUM_FREQUENCY = 0.05
SPLICE_SITE = 2  # base pairs of an intron at either end


class Consequence(IntEnum):
    """What a variant does to the gene that it was drawn for, most severe first."""

    STOP_GAINED = 0
    FRAMESHIFT = 1
    SPLICE_ACCEPTOR = 2
    SPLICE_DONOR = 3
    INFRAME_INDEL = 4
    DAMAGING_MISSENSE = 5
    OTHER_MISSENSE = 6
    SYNONYMOUS = 7
    UTR_5 = 8
    UTR_3 = 9
    INTRON = 10
    INTERGENIC = 11


PLOF = (
    Consequence.STOP_GAINED,
    Consequence.FRAMESHIFT,
    Consequence.SPLICE_ACCEPTOR,
    Consequence.SPLICE_DONOR,
)
_INDELS = (Consequence.FRAMESHIFT, Consequence.INFRAME_INDEL)
_NONCODING_INDEL_SHARE = 0.10
_DELETION_DRAWS = 0.7  # a quarter of them becomes insertions; see `_indel`


@dataclass(frozen=True)
class LocusVariants:
    """
    Alternative alleles of one locus, one row each, by ascending position.

    Rows of equal position are alleles of one multi-allelic site. `dosage` is uint8, alleles × people: copies
    carried; a hemizygous man has 0 or 2. `frequency` is, in genes, that in the population where the allele is
    most frequent, among the founder haplotypes drawn, one copy left out: 0 where there is only one.
    """

    locus: int
    position: np.ndarray
    consequence: np.ndarray
    low_confidence: np.ndarray
    ref: tuple[str, ...]
    alt: tuple[str, ...]
    frequency: np.ndarray
    dosage: np.ndarray

    def __len__(self) -> int:
        return len(self.position)

    def choose(self, people: np.ndarray) -> LocusVariants:
        """The same alleles in some people; alleles that none of them carries are left out."""
        dosage = self.dosage[:, people]
        rows = np.flatnonzero(dosage.any(axis=1))
        return LocusVariants(
            locus=self.locus,
            position=self.position[rows],
            consequence=self.consequence[rows],
            low_confidence=self.low_confidence[rows],
            ref=tuple(self.ref[i] for i in rows),
            alt=tuple(self.alt[i] for i in rows),
            frequency=self.frequency[rows],
            dosage=dosage[rows],
        )


def simulate_locus(
    locus: Locus, haplotypes: np.ndarray, origin: np.ndarray, config: SimulateConfig
) -> LocusVariants:
    """
    Draw the variants of one locus for some people.

    Parameters
    ----------
    locus
        A gene or a backbone marker.
    haplotypes
        People × 2: which founder haplotype each person carries here (see `Pedigree.haplotypes_at`).
    origin
        By founder haplotype: its population, a place among `PopulationConfig.populations`.
    config
        The study; its seed and the locus' index decide all that is drawn.
    """
    rng = generator(config.seed, "locus", locus.index)
    used, place = np.unique(haplotypes, return_inverse=True)
    # The coalescent gives haplotypes population by population.
    column = np.empty(len(used), dtype=np.int64)
    column[np.argsort(origin[used], kind="stable")] = np.arange(len(used))
    numbers = np.bincount(origin[used], minlength=len(config.population.populations())).tolist()
    counts = dict(zip(config.population.populations(), numbers, strict=True))
    position, derived = simulate_haplotypes(locus, counts, config.genes, rng, config.population)
    carried = column[place.reshape(haplotypes.shape)]
    dosage = derived[:, carried[:, 0]] + derived[:, carried[:, 1]]
    frequency = _highest_frequency(derived, numbers) if locus.is_gene else derived.mean(axis=1)
    consequence = _draw_consequences(rng, locus, position, config.consequences)
    kept = _survivors(rng, locus, consequence, frequency, config.consequences)
    position, consequence, frequency, dosage = (
        values[kept] for values in (position, consequence, frequency, dosage)
    )
    position, dosage = _merge_neighbours(rng, (position, consequence, dosage), config.consequences)
    ref, alt = _draw_alleles(rng, locus, position, consequence, config.consequences)
    drawn = LocusVariants(
        locus=locus.index,
        position=position,
        consequence=consequence,
        low_confidence=np.isin(consequence, PLOF)
        & (rng.random(len(position)) < config.consequences.low_confidence_share),
        ref=ref,
        alt=alt,
        frequency=frequency,
        dosage=dosage,
    )
    return drawn.choose(np.arange(len(haplotypes)))


def _highest_frequency(derived: np.ndarray, counts: list[int]) -> np.ndarray:
    """Largest of the populations' frequencies, one copy left out; alleles × haplotypes to alleles."""
    others = [
        np.maximum(part.sum(axis=1, dtype=np.int64) - 1, 0) / max(part.shape[1] - 1, 1)
        for part in np.split(derived, np.cumsum(counts)[:-1], axis=1)
    ]
    return np.max(others, axis=0)


def _draw_consequences(
    rng: np.random.Generator, locus: Locus, position: np.ndarray, config: ConsequencesConfig
) -> np.ndarray:
    if not locus.is_gene:
        return np.full(len(position), Consequence.INTERGENIC)
    classes = [Consequence[name.upper()] for name in config.coding_shares()] + [Consequence.SYNONYMOUS]
    shares = list(config.coding_shares().values())
    drawn = rng.choice(np.array(classes), size=len(position), p=[*shares, 1 - sum(shares)])
    return np.where(is_coding(locus, position), drawn, place_outside_exons(locus, position))


def is_coding(locus: Locus, position: np.ndarray) -> np.ndarray:
    """True where a position lies in an exon of the gene."""
    starts, ends = np.array(locus.exons).T
    before = np.searchsorted(starts, position, side="right") - 1
    return (before >= 0) & (position <= ends[np.maximum(before, 0)])


def place_outside_exons(locus: Locus, position: np.ndarray) -> np.ndarray:
    """`Consequence` by place alone: splice sites, intron, untranslated ends; meaningless inside exons."""
    starts, ends = np.array(locus.exons).T
    forward = locus.strand == "+"
    after_exon = np.isin(position, np.concatenate([ends[:-1] + i for i in range(1, SPLICE_SITE + 1)]))
    before_exon = np.isin(position, np.concatenate([starts[1:] - i for i in range(1, SPLICE_SITE + 1)]))
    donor, acceptor = (after_exon, before_exon) if forward else (before_exon, after_exon)
    left_end, right_end = (
        (Consequence.UTR_5, Consequence.UTR_3) if forward else (Consequence.UTR_3, Consequence.UTR_5)
    )
    return np.select(
        [position < locus.start, position > locus.end, donor, acceptor],
        [left_end, right_end, Consequence.SPLICE_DONOR, Consequence.SPLICE_ACCEPTOR],
        default=Consequence.INTRON,
    )


def _survivors(
    rng: np.random.Generator,
    locus: Locus,
    consequence: np.ndarray,
    frequency: np.ndarray,
    config: ConsequencesConfig,
) -> np.ndarray:
    """Rows that selection and capture leave, ascending.

    A variant of a class under selection survives with probability 1 / (1 + f / half frequency), f the
    highest frequency of all populations: an empirical stand-in for purifying selection, which a neutral
    coalescent lacks. It is the stronger the more constrained the gene is. Of a marker one common SNV stays.
    """
    if not locus.is_gene:
        common = np.flatnonzero(np.minimum(frequency, 1 - frequency) >= BACKBONE_MINIMUM_FREQUENCY)
        return rng.permutation(common)[:1]
    half = np.full(len(consequence), np.inf)
    half[np.isin(consequence, PLOF)] = config.plof_half_frequency
    half[consequence == Consequence.DAMAGING_MISSENSE] = config.damaging_half_frequency
    half[np.isin(consequence, (Consequence.OTHER_MISSENSE, Consequence.INFRAME_INDEL))] = (
        config.other_missense_half_frequency
    )
    survives = rng.random(len(consequence)) < 1 / (1 + locus.constraint * frequency / half)
    return np.flatnonzero(survives)


def _merge_neighbours(
    rng: np.random.Generator, rows: tuple[np.ndarray, np.ndarray, np.ndarray], config: ConsequencesConfig
) -> tuple[np.ndarray, np.ndarray]:
    """Give some coding SNVs their right neighbour as a second allele of the same site."""
    position, consequence, dosage = rows[0].copy(), rows[1], rows[2].copy()
    coding = ~np.isin(consequence, (Consequence.UTR_5, Consequence.UTR_3, Consequence.INTRON))
    for i in range(len(position) - 1):
        both = coding[i] and coding[i + 1] and consequence[i] not in _INDELS
        if not both or rng.random() >= config.multiallelic_share or (i and position[i] == position[i - 1]):
            continue
        position[i + 1] = position[i]
        dosage[i + 1] = np.minimum(dosage[i + 1], 2 - dosage[i])
    return position, dosage


def _draw_alleles(
    rng: np.random.Generator,
    locus: Locus,
    position: np.ndarray,
    consequence: np.ndarray,
    config: ConsequencesConfig,
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    ref: list[str] = []
    alt: list[str] = []
    for i, (place, kind) in enumerate(zip(position.tolist(), consequence.tolist(), strict=True)):
        is_second = i > 0 and position[i - 1] == place
        length = _indel_length(rng, kind)
        if length:
            alleles = _indel(rng, locus.chromosome, place, length)
        else:
            coding = kind < Consequence.UTR_5
            transitions = config.transition_share_coding if coding else config.transition_share_noncoding
            taken = alt[-1] if is_second else ""
            alleles = _snv(rng, locus.chromosome, place, transitions, taken)
        ref.append(alleles[0])
        alt.append(alleles[1])
    return tuple(ref), tuple(alt)


def _snv(
    rng: np.random.Generator, chromosome: int, position: int, transition_share: float, taken: str
) -> tuple[str, str]:
    base = "ACGT"[int(reference.pseudo_bases(chromosome, np.array([position]))[0])]
    transition = {"A": "G", "G": "A", "C": "T", "T": "C"}[base]
    transversions = [other for other in "ACGT" if other not in (base, transition)]
    alt = transition if rng.random() < transition_share else transversions[int(rng.integers(2))]
    if alt == taken:
        alt = next(other for other in transversions if other != taken)
    return base, alt


def _indel_length(rng: np.random.Generator, consequence: int) -> int:
    """Inserted (positive) or deleted (negative) bases; 0 for an SNV."""
    if consequence == Consequence.FRAMESHIFT:
        length = int(rng.choice([1, 2, 4, 5], p=[0.6, 0.2, 0.15, 0.05]))
    elif consequence == Consequence.INFRAME_INDEL:
        length = int(rng.choice([3, 6], p=[0.8, 0.2]))
    elif consequence in (Consequence.UTR_5, Consequence.UTR_3, Consequence.INTRON):
        length = int(rng.integers(1, 7)) if rng.random() < _NONCODING_INDEL_SHARE else 0
    else:
        length = 0
    return length if rng.random() < 1 - _DELETION_DRAWS else -length


def _indel(rng: np.random.Generator, chromosome: int, position: int, length: int) -> tuple[str, str]:
    """Alleles with one anchor base, left-aligned.

    A deletion that could be shifted left (its last base equals the anchor) is made an insertion of the
    same length; inserted sequence is drawn so that it cannot be shifted.
    """
    codes = reference.pseudo_bases(chromosome, np.arange(position, position + 1 + abs(length)))
    sequence = "".join("ACGT"[code] for code in codes)
    if length < 0 and sequence[-1] != sequence[0]:
        return sequence, sequence[0]
    inserted = rng.integers(0, 4, size=abs(length))
    inserted[-1] = (codes[0] + rng.integers(1, 4)) % 4
    return sequence[0], sequence[0] + "".join("ACGT"[code] for code in inserted)
