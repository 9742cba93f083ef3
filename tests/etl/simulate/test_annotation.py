import numpy as np
import pytest

from etl.simulate.annotation import CSQ_FIELDS, Annotator
from etl.simulate.config import ConsequencesConfig
from etl.simulate.loci import Locus
from etl.simulate.sites import Alleles
from etl.simulate.variants import Consequence

FIRST = Locus(0, 0, 1_001, 2_000, exons=((1_001, 1_200), (1_801, 2_000)), strand="+", number=1)
SECOND = Locus(1, 0, 1_901, 3_000, exons=((1_901, 2_200), (2_701, 3_000)), strand="-", number=2)
MARKER = Locus(2, 0, 9_001, 9_900)
ANNOTATOR = Annotator([FIRST, SECOND, MARKER], ConsequencesConfig(), seed=1)


def describe(
    position: int,
    alleles: list[tuple[str, str]],
    kind: Consequence,
    locus: int = 0,
    low_confidence: bool = False,
) -> list[dict[str, str]]:
    n = len(alleles)
    rows = Alleles(
        chromosome=np.zeros(n, dtype=int),
        position=np.full(n, position),
        ref=np.array([ref for ref, _ in alleles], dtype=object),
        alt=np.array([alt for _, alt in alleles], dtype=object),
        locus=np.full(n, locus),
        consequence=np.full(n, kind),
        low_confidence=np.full(n, low_confidence),
        dosage=np.ones((n, 1), dtype=np.uint8),
        defect=np.zeros(n, dtype=int),
        strength=np.zeros(n),
        group=np.full(n, -1),
        depth=np.ones((n, 1)),
        poor=np.zeros((n, 1), dtype=bool),
        off_target=np.zeros(n, dtype=bool),
    )
    entries = ANNOTATOR.describe(rows).split(",")
    return [dict(zip(CSQ_FIELDS, entry.split("|"), strict=True)) for entry in entries]


def test_describe__damaging_missense():
    (entry,) = describe(1_100, [("A", "G")], Consequence.DAMAGING_MISSENSE)
    assert (entry["Allele"], entry["Consequence"], entry["IMPACT"]) == ("G", "missense_variant", "MODERATE")
    assert (entry["SYMBOL"], entry["Gene"], entry["Feature"]) == ("SIM1", "SIMG00000001", "SIMT00000001")
    assert entry["SIFT"].startswith("deleterious(")
    assert entry["PolyPhen"].startswith("probably_damaging(")
    assert 22 <= float(entry["CADD_PHRED"]) <= 34
    assert entry["LoF"] == ""


@pytest.mark.parametrize(("low_confidence", "lof"), [(False, "HC"), (True, "LC")])
def test_describe__loss_of_function_confidence(low_confidence, lof):
    (entry,) = describe(1_100, [("A", "G")], Consequence.STOP_GAINED, low_confidence=low_confidence)
    assert (entry["IMPACT"], entry["LoF"]) == ("HIGH", lof)
    assert (entry["LoF_filter"] == "END_TRUNC") == low_confidence


def test_describe__other_missense_is_never_called_damaging_by_both():
    for position in range(1_010, 1_110):
        (entry,) = describe(position, [("A", "G")], Consequence.OTHER_MISSENSE)
        both = entry["SIFT"].startswith("deleterious") and entry["PolyPhen"].startswith("probably_damaging")
        assert not both


@pytest.mark.parametrize(
    ("alleles", "names"),
    [
        ([("A", "AT")], ["T"]),
        ([("AT", "A")], ["-"]),
        ([("A", "G"), ("A", "C")], ["G", "C"]),
        ([("A", "G"), ("ACT", "A")], ["GCT", "A"]),  # the alleles do not share their first base
        ([("ACT", "A"), ("A", "AG")], ["-", "GCT"]),
    ],
)
def test_describe__allele_names_as_vep_writes_them(alleles, names):
    entries = describe(1_100, alleles, Consequence.FRAMESHIFT)
    assert [entry["Allele"] for entry in entries] == names
    assert [entry["ALLELE_NUM"] for entry in entries] == [str(i + 1) for i in range(len(names))]


def test_describe__inframe_insertion_and_deletion():
    (entry,) = describe(1_100, [("A", "ACCG")], Consequence.INFRAME_INDEL)
    assert entry["Consequence"] == "inframe_insertion"
    (entry,) = describe(1_100, [("ACCG", "A")], Consequence.INFRAME_INDEL)
    assert entry["Consequence"] == "inframe_deletion"


def test_describe__overlapping_genes_both_speak():
    first, second = describe(1_950, [("A", "ATT")], Consequence.FRAMESHIFT)
    assert (first["Gene"], second["Gene"]) == ("SIMG00000001", "SIMG00000002")
    assert second["Consequence"] == "frameshift_variant"
    assert [first["STRAND"], second["STRAND"]] == ["1", "-1"]


def test_describe__between_genes():
    (entry,) = describe(9_500, [("A", "G")], Consequence.INTERGENIC, locus=2)
    assert entry["Consequence"] == "intergenic_variant"
    assert entry["Gene"] == entry["Feature"] == ""


def test_describe__marker_inside_an_intron_of_a_gene():
    (entry,) = describe(1_500, [("A", "G")], Consequence.INTERGENIC, locus=2)
    assert (entry["Consequence"], entry["Gene"]) == ("intron_variant", "SIMG00000001")
