"""What some tests need beside what training with the arrow reader needs (the lock for GPUs has neither)."""

from importlib.util import find_spec

import pytest

needs_petastorm = pytest.mark.skipif(find_spec("petastorm") is None, reason="Petastorm is not installed")
needs_horovod = pytest.mark.skipif(find_spec("horovod") is None, reason="Horovod is not installed")
READER = "arrow" if find_spec("petastorm") is None else "petastorm"
