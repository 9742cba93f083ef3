"""Inner folds: parts of the people that a rival is fitted on, for what has to be tuned."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from contract.errors import InputError, fault
from train.design import Design

INNER_PARTS = 3


def inner_parts(design: Design, parts: int = INNER_PARTS) -> list[NDArray[np.bool_]]:
    """Masks of the people held out in each part; whole folds stay together, and so do families.

    Where all people are of one fold, families are dealt out instead.

    Raises
    ------
    InputError
        If a part, or what it leaves, holds cases or controls alone.
    """
    unit_M = design.fold_M if len(np.unique(design.fold_M)) > 1 else design.family_M
    units, place_M = np.unique(unit_M, return_inverse=True)
    parts = min(parts, len(units))
    held = [place_M % parts == part for part in range(parts)]
    for mask in held:
        require_classes(design.is_case_M[mask], "an inner fold")
        require_classes(design.is_case_M[~mask], "what an inner fold leaves")
    return held


def require_classes(is_case_M: NDArray[np.int8], where: str) -> None:
    """Refuse people who are all cases or all controls.

    Raises
    ------
    InputError
        With the counts found.
    """
    cases = int((is_case_M == 1).sum())
    if not 0 < cases < len(is_case_M):
        found = f"{cases} cases and {len(is_case_M) - cases} controls in {where}"
        raise InputError(fault("dataset", "is_case", found=found, wanted="both"))
