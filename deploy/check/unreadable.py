"""Files that a check can't even read are a fault, not the check's end."""

from __future__ import annotations

from collections.abc import Callable

from deploy.check.runner import LeftOutError


def or_fault(where: str, run: Callable[[], list[str]]) -> list[str]:
    """The faults that a check finds, or the one that stopped it. `LeftOutError` goes on to the caller."""
    try:
        return run()
    except LeftOutError:
        raise
    except Exception as error:  # noqa: BLE001 - what stands in files that people edit can be anything
        return [f"{where}: {type(error).__name__}: {' '.join(str(error).split())}"]
