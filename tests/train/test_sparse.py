import numpy as np

from train.sparse import SparseRows, empty_rows, join_rows


def rows_of(*rows: dict[int, float], first_sample: int = 0) -> SparseRows:
    return SparseRows(
        np.arange(first_sample, first_sample + len(rows), dtype=np.int32),
        np.cumsum([0] + [len(row) for row in rows]),
        np.array([index for row in rows for index in row], np.int32),
        np.array([value for row in rows for value in row.values()], np.float32),
    )


def dense(rows: SparseRows) -> list[dict[int, float]]:
    found: list[dict[int, float]] = [{} for _ in range(len(rows))]
    for row, index, value in zip(rows.row_N, rows.indices_N, rows.values_N, strict=True):
        found[row][int(index)] = float(value)
    return found


ROWS = rows_of({1: 1.0, 4: 2.0}, {}, {0: 3.0}, {2: 1.0, 3: 1.0, 4: 1.0})


def test_take__order_with_an_empty_row():
    taken = ROWS.take(np.array([3, 1, 0]))
    assert taken.sample_R.tolist() == [3, 1, 0]
    assert dense(taken) == [{2: 1.0, 3: 1.0, 4: 1.0}, {}, {1: 1.0, 4: 2.0}]


def test_slice__middle():
    assert dense(ROWS.slice(1, 3)) == [{}, {0: 3.0}]


def test_join_rows__parts_and_nothing():
    joined = join_rows([ROWS.slice(2, 4), empty_rows(), ROWS.slice(0, 1)])
    assert joined.sample_R.tolist() == [2, 3, 0]
    assert dense(joined) == [{0: 3.0}, {2: 1.0, 3: 1.0, 4: 1.0}, {1: 1.0, 4: 2.0}]
    assert len(join_rows([])) == 0
