import pytest

from contract.errors import InputError
from contract.manifest import Channel, Fold, Manifest, PartFile
from train.config import DataConfig
from train.order import RowGroup, deal, groups_to_score, list_row_groups, plan_schedule, share_of


def groups_of(*rows: int) -> list[RowGroup]:
    return [RowGroup("part", index, n) for index, n in enumerate(rows)]


def data_config(**settings: object) -> DataConfig:
    return DataConfig(dataset="unused", **settings)


def manifest_of(rows: int, row_groups: int) -> Manifest:
    file = PartFile(path="part", rows=rows, row_groups=row_groups, sha256="")
    fold = Fold(index=0, n_samples=rows, n_cases=0, n_controls=rows, files=[file])
    return Manifest(
        reference_genome="GRCh38",
        n_samples=rows,
        n_genes=1,
        channels=[Channel(name="plof", definition={})],
        covariates=[],
        row_group_size=64,
        test_fold=0,
        folds=[fold],
        seed=0,
    )


def test_list_row_groups__last_group_is_short():
    assert [group.rows for group in list_row_groups(manifest_of(150, 3), [0])] == [64, 64, 22]


def test_list_row_groups__manifest_that_contradicts_itself():
    with pytest.raises(InputError, match=r"part row_groups: found 2, wanted 3"):
        list_row_groups(manifest_of(150, 2), [0])


def test_plan_schedule__steps_by_hand():
    # Two streams of 64 + 36 rows each: 100 // 8 = 12 steps of 16 rows.
    schedule = plan_schedule(groups_of(64, 36, 64, 36), 1, data_config(batch_size=16, streams=2), 1)
    assert (schedule.n_streams, schedule.rows_per_stream, schedule.steps) == (2, 8, 12)


@pytest.mark.parametrize("world_size", [1, 2, 4])
def test_plan_schedule__same_steps_for_any_number_of_ranks(world_size: int):
    schedule = plan_schedule(groups_of(*[64, 36] * 8), world_size, data_config(), 1)
    assert (schedule.n_streams, schedule.batch_size, schedule.steps) == (8, 64, 12)


@pytest.mark.parametrize(
    ("batch_size", "world_size", "n_groups", "found"),
    [
        (64, 3, 16, 64),  # 8 streams of 8 rows: 21, 21 and 22 of them to a rank
        (100, 1, 16, 104),  # 12.5 rows of each stream
        (64, 1, 5, 65),  # 5 streams
        (1, 3, 2, 4),  # nobody for the third rank with one row of each stream
        (8, 3, 1, 8),  # one stream for all
    ],
)
def test_plan_schedule__nearest_batch_that_serves(
    batch_size: int, world_size: int, n_groups: int, found: int
):
    groups = groups_of(*[64] * n_groups)
    assert plan_schedule(groups, world_size, data_config(batch_size=batch_size), 1).batch_size == found


def test_plan_schedule__no_one_for_some_ranks():
    with pytest.raises(
        InputError, match=r"data.batch_size: found 2 on 9 rank\(s\), wanted at most 8 \(the sm"
    ):
        plan_schedule(groups_of(4, 4), 9, data_config(batch_size=2), 1)


def test_plan_schedule__no_row_group():
    with pytest.raises(InputError, match=r"row groups: found 0, wanted some in the training folds"):
        plan_schedule([], 1, data_config(), 1)


def test_plan_schedule__batch_larger_than_an_epoch():
    with pytest.raises(InputError, match=r"data.batch_size: found 64, wanted at most 20"):
        plan_schedule(groups_of(10, 10), 1, data_config(), 1)


def test_deal__every_group_once_and_loads_balanced():
    groups = groups_of(*[64, 36] * 8)
    streams = deal(groups, 4, 1, 0)
    assert sorted(group.index for stream in streams for group in stream) == list(range(16))
    assert [sum(group.rows for group in stream) for stream in streams] == [200] * 4


def test_deal__depends_on_seed_and_epoch_only():
    groups = groups_of(*[64] * 12)
    assert deal(groups, 4, 1, 0) == deal(groups, 4, 1, 0)
    assert deal(groups, 4, 1, 0) != deal(groups, 4, 1, 1)
    assert deal(groups, 4, 1, 0) != deal(groups, 4, 2, 0)


@pytest.mark.parametrize("world_size", [1, 2, 3, 5, 7, 16, 64])
def test_share_of__ranks_share_every_stream_equally(world_size: int):
    schedule = plan_schedule(groups_of(*[64, 36] * 8), world_size, data_config(), 1)
    shares = [share_of(rank, world_size, schedule) for rank in range(world_size)]
    sizes = [sum(part.stop - part.start for part in share.values()) for share in shares]
    assert max(sizes) - min(sizes) <= 1
    rows = [(stream, row) for share in shares for stream, part in share.items() for row in range(64)[part]]
    assert rows == [(stream, row) for stream in range(8) for row in range(8)]


def test_groups_to_score__every_group_once_even_with_idle_ranks():
    groups = groups_of(64, 36)
    shares = [groups_to_score(groups, rank, 3) for rank in range(3)]
    assert [len(share) for share in shares] == [1, 1, 0]
    assert [group for share in shares for group in share] == groups
