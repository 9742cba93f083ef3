import numpy as np
import pytest

from deploy.evidence.cells import CellStore


def test_make__a_finished_cell_is_not_made_again(tmp_path):
    store, calls = CellStore(tmp_path), []

    def work():
        calls.append(1)
        return {"auroc": 0.7, "score_M": np.array([0.1, 0.25])}

    assert store.make("cell", "one", work) == {"auroc": 0.7, "digest": "one"}
    assert CellStore(tmp_path).make("cell", "one", work)["auroc"] == 0.7
    assert len(calls) == 1
    assert store.scores("cell").tolist() == [0.1, 0.25]
    store.make("cell", "other settings", work)
    store.make("cell", "other settings", work, again=True)
    assert len(calls) == 3


def test_make__a_cell_that_failed_leaves_nothing(tmp_path):
    store = CellStore(tmp_path)
    with pytest.raises(ZeroDivisionError):
        store.make("cell", "one", lambda: {"auroc": 1 / 0})
    assert store.get("cell", "one") is None


def test_get__a_damaged_cell_counts_as_absent(tmp_path):
    (tmp_path / "cell.json").write_text("{")
    assert CellStore(tmp_path).get("cell", "one") is None
