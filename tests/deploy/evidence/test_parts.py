from pathlib import Path

import pytest

from deploy.evidence.cells import CellStore
from deploy.evidence.faults import CLEAN_SEEDS, FAULTS, caught
from deploy.evidence.parts import part_figures, run_part
from train.audit.registry import CHECKS


def test_part_figures__clean_cohorts_are_counted(tmp_path, monkeypatch):
    monkeypatch.setattr("deploy.evidence.parts.caught", lambda name, folder: name != "labels used in a mask")
    monkeypatch.setattr("deploy.evidence.parts.passes", lambda seed, folder: seed != CLEAN_SEEDS[0])
    store = CellStore(tmp_path)
    assert part_figures(store) == {"audit": {}, "coverage": {}}
    run_part("audit", store)
    found = part_figures(store)["audit"]
    assert found.pop("clean cohorts that pass") == "9 of 10"
    assert set(found) == set(FAULTS)
    assert [name for name, told in found.items() if not told] == ["labels used in a mask"]


def test_faults__name_checks_of_the_audit():
    assert {fault.check for fault in FAULTS.values()} <= {check.name for check in CHECKS}


@pytest.mark.slow
@pytest.mark.parametrize("name", FAULTS)
def test_caught__each_fault(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(Path(__file__).resolve().parents[3])
    assert caught(name, tmp_path / "fault")
