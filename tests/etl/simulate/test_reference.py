import numpy as np
import pytest

from etl.simulate import reference


def test_contig_name__by_build():
    assert reference.contig_name("GRCh37", reference.X) == "X"
    assert reference.contig_name("GRCh38", 0) == "chr1"


def test_pseudo_bases__depend_on_the_place_alone():
    whole = reference.pseudo_bases(3, np.arange(1_000, 2_000))
    assert np.array_equal(reference.pseudo_bases(3, np.arange(1_500, 1_600)), whole[500:600])
    assert not np.array_equal(reference.pseudo_bases(4, np.arange(1_000, 2_000)), whole)
    assert np.bincount(whole, minlength=4) == pytest.approx([250] * 4, abs=60)


def test_is_pseudo_autosomal__edges():
    last = 2_781_479
    assert reference.is_pseudo_autosomal("GRCh38", reference.X, last, last + 5)
    assert not reference.is_pseudo_autosomal("GRCh38", reference.X, last + 1, last + 5)
    assert not reference.is_pseudo_autosomal("GRCh38", 0, last, last)
