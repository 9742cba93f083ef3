"""The environment of `make deploy-check`, for tests that need its validators."""

from pathlib import Path

import pytest

from deploy.check import cache

PROJECT = Path(__file__).resolve().parents[2]


def validators() -> str:
    """The Python that has the validators; skips where `make deploy-check` has not made it."""
    python = cache.validators(PROJECT)
    if python is None:
        pytest.skip("the validators' environment is not there; `make deploy-check` makes it")
    return str(python)
