from pathlib import Path

from etl.workspace import Workspace


def test_record__none_where_a_file_stands_in_the_way(tmp_path: Path):
    (tmp_path / "out").write_text("a file")
    assert Workspace(f"{tmp_path}/out/steps").record("01_ingest") is None


def test_record__none_where_it_is_no_record(tmp_path: Path):
    (tmp_path / "01_ingest").mkdir()
    (tmp_path / "01_ingest" / "record.json").write_text('{"digest": 1}')
    assert Workspace(str(tmp_path)).record("01_ingest") is None
