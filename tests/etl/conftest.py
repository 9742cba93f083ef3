from pathlib import Path

import pytest

from tests.etl.mini import MiniInputs


@pytest.fixture
def mini(tmp_path: Path) -> MiniInputs:
    """Four people, two records, one gene: without a fault until a test puts one in."""
    return MiniInputs(tmp_path)
