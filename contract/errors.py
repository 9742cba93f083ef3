"""The one exception for what a user can mend."""

from __future__ import annotations

from collections.abc import Sequence


class InputError(Exception):
    """Bad input or configuration, told in sentences that name file, field, found and wanted.

    The command lines print it without a traceback and exit with status 2.
    """

    def __init__(self, faults: str | Sequence[str]) -> None:
        self.faults: list[str] = [faults] if isinstance(faults, str) else list(faults)
        super().__init__("\n".join(self.faults))

    def __reduce__(self) -> tuple[type[InputError], tuple[list[str]]]:
        return type(self), (self.faults,)


def fault(where: object, field: str, *, found: object, wanted: str) -> str:
    """One sentence in the form that every fault of ours has.

    Parameters
    ----------
    where
        The file, folder or URL that holds the fault.
    field
        The key, column or header field in it.
    found, wanted
        What is there and what should be.
    """
    return f"{where}: {field}: found {found}, wanted {wanted}"
