from pathlib import Path

from tests.etl.ingest.outcome_table import HEAD, PAGE, table


def test_page__says_what_becomes_of_every_malformed_file(shared_data: Path):
    told = table(shared_data / "09_malformed")
    n_files = sum(int(line.split(" | ")[-3]) for line in told.splitlines()[2:])
    assert n_files == 492
    assert PAGE.read_text().endswith("\n\n" + told), (
        "write it anew: python -m tests.etl.ingest.outcome_table ../shared/data/09_malformed"
    )
    assert PAGE.read_text().count(HEAD) == 1
