import numpy as np
import pandas as pd
import pytest

pytest.importorskip("plotly")

from etl.report.association_figures import association_panels, thinned_quantiles
from etl.report.association_table import small_cell, strongest_rows
from tests.etl.report.example import example_association


def test_small_cell__counts_below_five_are_not_told():
    assert [small_cell(count) for count in (0, 1, 4, 5, 1234)] == ["<5", "<5", "<5", "5", "1,234"]


def test_strongest_rows__smallest_p_first_and_what_holds():
    part = example_association(50)
    part.table.loc[70, ["p", "log10_p", "carriers_cases", "carriers_controls"]] = [1e-9, 9, 3, 40]
    first, second, *_ = strongest_rows(part)
    assert (first["gene"], first["channel"], first["holds"]) == ("GENE20", "synonymous", True)
    assert (first["cases"], first["controls"]) == ("<5", "40")
    assert not second["holds"]
    assert strongest_rows(None) == []


def test_thinned_quantiles__ranks_and_expected_values():
    log10_p = pd.Series(-np.log10((np.arange(20_000) + 0.5) / 20_000)).sample(frac=1, random_state=1)
    found = thinned_quantiles(log10_p)
    assert found["rank"].tolist()[:20] == list(range(1, 21))
    assert len(found) < 100
    assert found["observed"].to_numpy() == pytest.approx(found["expected"].to_numpy())
    assert found["expected"].min() < 0.01


def test_thinned_quantiles__one_test():
    assert thinned_quantiles(pd.Series([0.5]))["rank"].tolist() == [1]


def test_association_panels__chromosomes_in_order_and_no_counts_of_people():
    part = example_association()
    quantiles, genome = association_panels(part)
    labels = list(genome.figure.layout.xaxis.ticktext)
    assert labels == [*(str(number) for number in range(1, 23)), "X"]
    places = list(genome.figure.layout.xaxis.tickvals)
    assert places == sorted(places)
    columns = {*quantiles.table.columns, *genome.table.columns}
    assert not [name for name in columns if "carriers" in name or "burden" in name]
    strongest = part.table.nlargest(200, "log10_p")
    assert set(strongest["start"]) <= set(genome.table["start"])


def test_association_panels__none_without_tests():
    part = example_association()
    bare = type(part)(part.table.iloc[:0], [], 10, 10, 0)
    assert association_panels(bare) == []
