"""Consequences in the form of VEP's CSQ, of a variant in every gene that it touches."""

from __future__ import annotations

import bisect

import numpy as np

from etl.simulate.config import ConsequencesConfig
from etl.simulate.loci import EXON_FLANK, Locus
from etl.simulate.rng import generator
from etl.simulate.sites import Alleles
from etl.simulate.variants import PLOF, Consequence, is_coding, place_outside_exons

CSQ_FIELDS = (
    "Allele", "Consequence", "IMPACT", "SYMBOL", "Gene", "Feature_type", "Feature", "BIOTYPE", "CANONICAL",
    "STRAND", "SIFT", "PolyPhen", "CADD_PHRED", "LoF", "LoF_filter", "LoF_flags", "LoF_info", "ALLELE_NUM",
)  # fmt: skip

# Sequence Ontology term and VEP's impact.
_TERMS = {
    Consequence.STOP_GAINED: ("stop_gained", "HIGH"),
    Consequence.FRAMESHIFT: ("frameshift_variant", "HIGH"),
    Consequence.SPLICE_ACCEPTOR: ("splice_acceptor_variant", "HIGH"),
    Consequence.SPLICE_DONOR: ("splice_donor_variant", "HIGH"),
    Consequence.INFRAME_INDEL: ("inframe_deletion", "MODERATE"),
    Consequence.DAMAGING_MISSENSE: ("missense_variant", "MODERATE"),
    Consequence.OTHER_MISSENSE: ("missense_variant", "MODERATE"),
    Consequence.SYNONYMOUS: ("synonymous_variant", "LOW"),
    Consequence.UTR_5: ("5_prime_UTR_variant", "MODIFIER"),
    Consequence.UTR_3: ("3_prime_UTR_variant", "MODIFIER"),
    Consequence.INTRON: ("intron_variant", "MODIFIER"),
    Consequence.INTERGENIC: ("intergenic_variant", "MODIFIER"),
}
_CADD_RANGE = {
    Consequence.INFRAME_INDEL: (8, 22),
    Consequence.DAMAGING_MISSENSE: (22, 34),
    Consequence.OTHER_MISSENSE: (1, 24),
    Consequence.SYNONYMOUS: (0, 12),
}
_CADD_PLOF = (30, 45)
_CADD_NONCODING = (0, 10)


class Annotator:
    """Writes CSQ entries; knows which genes lie where."""

    def __init__(self, loci: list[Locus], config: ConsequencesConfig, seed: int) -> None:
        self._loci = loci
        self._config = config
        self._seed = seed
        self._genes: dict[int, list[Locus]] = {}
        for locus in loci:
            if locus.is_gene:
                self._genes.setdefault(locus.chromosome, []).append(locus)
        self._starts = {c: [gene.start for gene in genes] for c, genes in self._genes.items()}

    def describe(self, rows: Alleles) -> str:
        """
        CSQ of one site: `rows` are its alternative alleles.

        The gene that an allele was drawn for comes with the drawn consequence. In another gene at the
        same place it is an intron or splice variant, or, inside an exon, a coding class drawn anew.
        """
        entries = []
        for row, name in enumerate(_csq_alleles(rows.ref.tolist(), rows.alt.tolist())):
            position, own = int(rows.position[row]), self._loci[rows.locus[row]]
            rng = generator(self._seed, f"annotation {own.chromosome} {rows.alt[row]}", position)
            drawn = Consequence(int(rows.consequence[row]))
            found = [(own, drawn)]
            for gene in self._genes_at(own, position):
                found.append((gene, self._elsewhere(rng, gene, rows, row)))
            if not own.is_gene and len(found) > 1:
                del found[0]
            for gene, consequence in found:
                low_confidence = bool(rows.low_confidence[row]) and gene is own
                values = {"Allele": name, "ALLELE_NUM": str(row + 1)}
                values |= _gene_values(gene) if gene.is_gene else {}
                values |= _consequence_values(rng, consequence, low_confidence)
                if consequence == Consequence.INFRAME_INDEL and len(rows.alt[row]) > len(rows.ref[row]):
                    values["Consequence"] = "inframe_insertion"
                entries.append("|".join(values.get(field, "") for field in CSQ_FIELDS))
        return ",".join(entries)

    def _genes_at(self, own: Locus, position: int) -> list[Locus]:
        genes = self._genes.get(own.chromosome, [])
        stop = bisect.bisect_right(self._starts.get(own.chromosome, []), position + EXON_FLANK)
        near = genes[max(stop - 4, 0) : stop]
        return [
            gene
            for gene in near
            if gene.index != own.index and gene.start - EXON_FLANK <= position <= gene.end + EXON_FLANK
        ]

    def _elsewhere(self, rng: np.random.Generator, gene: Locus, rows: Alleles, row: int) -> Consequence:
        position = rows.position[row : row + 1]
        change = len(rows.alt[row]) - len(rows.ref[row])
        if not is_coding(gene, position)[0]:
            return Consequence(int(place_outside_exons(gene, position)[0]))
        if change:
            return Consequence.INFRAME_INDEL if change % 3 == 0 else Consequence.FRAMESHIFT
        shares = {
            Consequence.STOP_GAINED: self._config.stop_gained,
            Consequence.DAMAGING_MISSENSE: self._config.damaging_missense,
            Consequence.OTHER_MISSENSE: self._config.other_missense,
        }
        kinds = [*shares, Consequence.SYNONYMOUS]
        drawn = rng.choice(len(kinds), p=[*shares.values(), 1 - sum(shares.values())])
        return kinds[int(drawn)]


def _csq_alleles(ref: list[str], alt: list[str]) -> list[str]:
    """Allele names as VEP writes them: at sites with an indel, a first base shared by all is dropped."""
    longest = max(ref, key=len)
    full = [a + longest[len(r) :] for r, a in zip(ref, alt, strict=True)]
    has_indel = any(len(a) != len(longest) for a in full)
    if has_indel and all(a[0] == longest[0] for a in full):
        return [a[1:] or "-" for a in full]
    return full


def _gene_values(gene: Locus) -> dict[str, str]:
    return {
        "SYMBOL": gene.symbol,
        "Gene": gene.gene_id,
        "Feature_type": "Transcript",
        "Feature": gene.transcript_id,
        "BIOTYPE": "protein_coding",
        "CANONICAL": "YES",
        "STRAND": "1" if gene.strand == "+" else "-1",
    }


def _consequence_values(
    rng: np.random.Generator, consequence: Consequence, low_confidence: bool
) -> dict[str, str]:
    term, impact = _TERMS[consequence]
    sift, polyphen = _missense_scores(rng, consequence)
    default = _CADD_PLOF if consequence in PLOF else _CADD_NONCODING
    values = {
        "Consequence": term,
        "IMPACT": impact,
        "SIFT": sift,
        "PolyPhen": polyphen,
        "CADD_PHRED": f"{rng.uniform(*_CADD_RANGE.get(consequence, default)):.1f}",
    }
    if consequence in PLOF:
        values |= {"LoF": "LC", "LoF_filter": "END_TRUNC"} if low_confidence else {"LoF": "HC"}
    return values


def _missense_scores(rng: np.random.Generator, kind: Consequence) -> tuple[str, str]:
    """SIFT and PolyPhen; damaging missense is what both call damaging."""
    if kind == Consequence.DAMAGING_MISSENSE:
        return f"deleterious({rng.uniform(0, 0.05):.2f})", f"probably_damaging({rng.uniform(0.91, 1):.3f})"
    if kind != Consequence.OTHER_MISSENSE:
        return "", ""
    if rng.random() < 0.3:
        return f"deleterious({rng.uniform(0, 0.05):.2f})", f"benign({rng.uniform(0, 0.44):.3f})"
    return f"tolerated({rng.uniform(0.06, 1):.2f})", f"benign({rng.uniform(0, 0.44):.3f})"
