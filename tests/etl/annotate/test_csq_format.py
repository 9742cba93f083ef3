from functools import partial

import pytest

from contract.errors import InputError
from etl.annotate.config import AnnotationConfig
from etl.annotate.csq_format import available_classes, csq_fields, csq_format

DESCRIPTION = "Consequence annotations from Ensembl VEP. Format: Allele|Consequence|SYMBOL|Gene|LoF"


def test_csq_format__fields_in_order():
    assert csq_format(DESCRIPTION) == ["Allele", "Consequence", "SYMBOL", "Gene", "LoF"]


def test_csq_format__quotes_and_spaces_are_stripped():
    assert csq_format('x. Format: "Allele|Gene "') == ["Allele", "Gene"]


def test_csq_format__none_in_the_description():
    assert csq_format("annotation by VEP") == []


def test_csq_fields__configuration_wins_over_an_empty_header():
    config = AnnotationConfig(csq_fields=("Allele", "Gene", "Consequence"))
    assert csq_fields(config, "", "a.vcf") == ["Allele", "Gene", "Consequence"]


@pytest.mark.parametrize(
    ("description", "message"),
    [
        (None, r"a.vcf: INFO CSQ: found no such field in the header, wanted VEP's annotation"),
        ("by VEP", r"a.vcf: INFO CSQ: found description 'by VEP', wanted 'Format: Allele"),
        (
            "Format: Allele|IMPACT",
            r"a.vcf: INFO CSQ: found Allele\|IMPACT, wanted also Consequence, Gene or SYMBOL",
        ),
    ],
)
def test_csq_fields__unusable_header(description, message):
    with pytest.raises(InputError, match=message):
        csq_fields(AnnotationConfig(), description, "a.vcf")


def test_available_classes__need_their_fields():
    classes = partial(available_classes, AnnotationConfig(), calls_loss=False)
    assert "damaging_missense" not in classes(["Allele", "Consequence", "PolyPhen"])
    assert "damaging_missense" in classes(["Allele", "Consequence", "PolyPhen", "SIFT"])
    assert "plof_low_confidence" in classes(["LoF"])
    assert available_classes(AnnotationConfig(kind="intervals"), (), calls_loss=False) == {"any"}


def test_available_classes__of_snpeff_with_calls_of_loss():
    config = AnnotationConfig(kind="ann")
    assert "plof_low_confidence" in available_classes(config, (), calls_loss=True)
    assert "plof_low_confidence" not in available_classes(config, (), calls_loss=False)


def test_csq_format__a_description_that_is_the_list_alone():
    assert csq_format("Allele|Consequence|Gene|") == ["Allele", "Consequence", "Gene", ""]
