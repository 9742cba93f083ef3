import hail as hl
import pytest

from etl.qc.allele_kinds import KINDS, allele_kinds

CHANGES = {
    ("A", "G"): "transition",
    ("T", "C"): "transition",
    ("A", "C"): "transversion",
    ("N", "G"): "transversion",
    ("AT", "AG"): "transversion",
    ("CAT", "CGT"): "transition",
    ("ATT", "AGG"): "other",
    ("A", "AT"): "insertion",
    ("ACT", "AGGTT"): "other",
    ("AT", "ACCT"): "insertion",
    ("ACT", "AT"): "deletion",
    ("TA", "A"): "other",
    ("A", "TA"): "other",
    ("CT", "GTA"): "other",
}


def test_allele_kinds__by_hand():
    kinds = allele_kinds(*zip(*CHANGES, strict=True))
    assert [KINDS[kind] for kind in kinds] == list(CHANGES.values())


@pytest.mark.usefixtures("hail_session")
def test_allele_kinds__equals_hail():
    def kind(ref: str, alt: str) -> hl.StringExpression:
        snv = hl.if_else(hl.is_transition(ref, alt), "transition", "transversion")
        name = hl.allele_type(ref, alt)
        return (
            hl.case()
            .when(name == "SNP", snv)
            .when(name == "Insertion", "insertion")
            .when(name == "Deletion", "deletion")
            .default("other")
        )

    assert hl.eval(hl.array([kind(ref, alt) for ref, alt in CHANGES])) == list(CHANGES.values())
