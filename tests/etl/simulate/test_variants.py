import numpy as np
import pytest

from contract.config import build_config
from etl.simulate import reference
from etl.simulate.config import SimulateConfig
from etl.simulate.loci import Locus
from etl.simulate.variants import (
    PLOF,
    Consequence,
    LocusVariants,
    is_coding,
    place_outside_exons,
    simulate_locus,
)

GENE = Locus(7, 2, 50_001, 53_000, exons=((50_001, 51_200), (51_801, 53_000)), strand="+", number=1)
CONFIG = build_config(SimulateConfig, {"out": "x"}, "test")


def draw(index: int, n_people: int = 500) -> LocusVariants:
    gene = Locus(index, GENE.chromosome, GENE.start, GENE.end, GENE.exons, GENE.strand)
    haplotypes = np.arange(2 * n_people).reshape(n_people, 2)
    return simulate_locus(gene, haplotypes, np.zeros(2 * n_people, dtype=np.uint8), CONFIG)


@pytest.fixture(scope="module")
def many() -> list[LocusVariants]:
    return [draw(index) for index in range(60)]


def joined(many: list[LocusVariants], name: str) -> np.ndarray:
    return np.concatenate([getattr(variants, name) for variants in many])


def test_place_outside_exons__by_strand():
    positions = np.array([50_000, 51_201, 51_202, 51_203, 51_798, 51_799, 51_800, 53_001])
    forward = place_outside_exons(GENE, positions)
    assert [Consequence(value).name for value in forward] == [
        "UTR_5", "SPLICE_DONOR", "SPLICE_DONOR", "INTRON",
        "INTRON", "SPLICE_ACCEPTOR", "SPLICE_ACCEPTOR", "UTR_3",
    ]  # fmt: skip
    reverse = Locus(7, 2, GENE.start, GENE.end, GENE.exons, "-")
    assert [Consequence(value).name for value in place_outside_exons(reverse, positions)[[0, 1, 6, 7]]] == [
        "UTR_3", "SPLICE_ACCEPTOR", "SPLICE_DONOR", "UTR_5",
    ]  # fmt: skip


def test_is_coding__edges_of_exons():
    positions = np.array([50_000, 50_001, 51_200, 51_201, 51_801, 53_001])
    assert is_coding(GENE, positions).tolist() == [False, True, True, False, True, False]


def test_simulate_locus__selection_makes_damaging_classes_rarer(many):
    kind, frequency = joined(many, "consequence"), joined(many, "frequency")
    common = frequency > 0.005
    shares = [
        common[chosen].mean()
        for chosen in (
            np.isin(kind, PLOF),
            kind == Consequence.DAMAGING_MISSENSE,
            kind == Consequence.OTHER_MISSENSE,
            kind == Consequence.SYNONYMOUS,
        )
    ]
    assert shares == sorted(shares)
    assert shares[0] < 0.5 * shares[3]


def test_simulate_locus__alleles_fit_the_reference(many):
    for variants in many:
        for position, ref in zip(variants.position, variants.ref, strict=True):
            codes = reference.pseudo_bases(GENE.chromosome, position + np.arange(len(ref)))
            assert ref == "".join("ACGT"[code] for code in codes)


def test_simulate_locus__indels_are_left_aligned_and_of_both_kinds(many):
    changes = []
    for variants in many:
        for ref, alt, kind in zip(variants.ref, variants.alt, variants.consequence, strict=True):
            change = len(alt) - len(ref)
            if not change:
                continue
            longer = max(ref, alt, key=len)
            assert min(len(ref), len(alt)) == 1
            assert ref[0] == alt[0]
            assert longer[-1] != longer[0], "the same indel could start one base earlier"
            assert (change % 3 == 0) or kind != Consequence.INFRAME_INDEL
            changes.append(change)
    assert 0.5 < np.mean(np.array(changes) > 0) / np.mean(np.array(changes) < 0) < 2


def test_simulate_locus__transitions_are_three_times_as_many(many):
    transitions = {("A", "G"), ("G", "A"), ("C", "T"), ("T", "C")}
    pairs = [
        pair
        for variants in many
        for pair, kind in zip(zip(variants.ref, variants.alt, strict=True), variants.consequence, strict=True)
        if len(pair[0]) == len(pair[1]) and kind < Consequence.UTR_5
    ]
    share = np.mean([pair in transitions for pair in pairs])
    assert 2.2 < share / (1 - share) < 3.6


def test_simulate_locus__multiallelic_sites_have_distinct_alleles(many):
    sites = 0
    for variants in many:
        for first in np.flatnonzero(np.diff(variants.position) == 0):
            assert variants.alt[first] != variants.alt[first + 1] or len(variants.ref[first + 1]) > 1
            assert (variants.dosage[first] + variants.dosage[first + 1]).max() <= 2
            sites += 1
    assert sites > 5


def test_simulate_locus__backbone_gives_one_common_snv():
    marker = Locus(3, 0, 90_001, 93_000)
    haplotypes = np.arange(600).reshape(300, 2)
    found = simulate_locus(marker, haplotypes, np.zeros(600, dtype=np.uint8), CONFIG)
    assert len(found) == 1
    assert 0.05 <= found.dosage.mean() / 2 <= 0.95
    assert len(found.ref[0]) == len(found.alt[0]) == 1


def test_simulate_locus__shared_haplotypes_give_the_same_genotype():
    haplotypes = np.arange(40).reshape(20, 2)
    haplotypes[10:] = haplotypes[:10]
    found = simulate_locus(GENE, haplotypes, np.zeros(40, dtype=np.uint8), CONFIG)
    assert np.array_equal(found.dosage[:, 10:], found.dosage[:, :10])
    assert found.dosage.any()


def test_choose__leaves_out_alleles_that_nobody_carries(many):
    chosen = many[0].choose(np.array([0, 1]))
    carried = many[0].dosage[:, :2].any(axis=1)
    assert len(chosen) == carried.sum() < len(many[0])
    assert chosen.dosage.shape == (len(chosen), 2)
    assert np.array_equal(chosen.position, many[0].position[carried])
