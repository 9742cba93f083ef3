"""That the files of a run are those that the manifest names, before the first step and until the last."""

from __future__ import annotations

import json
import posixpath
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from contract.config import digest
from contract.dataset import file_faults
from contract.errors import InputError, fault
from contract.manifest import MANIFEST_NAME, Manifest, PartFile, read_manifest
from contract.storage import open_storage
from train.distributed import Comm, on_leader
from train.pulse import PULSE

THREADS = 4
"""Files that a rank digests at a time: the digest leaves the interpreter, and object stores answer slowly."""


class IntactFiles:
    """Part files of the folds that a run reads. All ranks make it, and each of its calls, together.

    What a file looks like in a listing (size, time, tag of the store) is kept: only a file that looks other
    than it did is digested again.
    """

    def __init__(self, root: str, manifest: Manifest, folds: Sequence[int], comm: Comm) -> None:
        self.root, self.comm = root, comm
        self.files = [part for fold in folds for part in manifest.fold(fold).files]
        self._manifest_digest = digest(manifest)
        self._looks: dict[str, str] = {}

    def verify(self) -> None:
        """Compare each file with its checksum in the manifest, once over all ranks.

        Raises
        ------
        InputError
            On every rank, with one sentence for each file that is absent or differs.
        """
        PULSE.mark("the checksums of the dataset")
        on_leader(self.comm, self._note_looks)  # before they are read: a later change is seen as one
        mine = self.files[self.comm.rank :: self.comm.size]
        with ThreadPoolExecutor(THREADS) as pool:
            faults = [text for found in pool.map(self._faults, mine) for text in found]
        _raise_on_all(self.comm, faults)

    def check_unchanged(self) -> None:
        """Look whether the dataset was changed under the run.

        Raises
        ------
        InputError
            On every rank, if the manifest is another one now, or a file has changed its content.
        """
        on_leader(self.comm, self._check_unchanged)

    def _check_unchanged(self) -> None:
        if digest(read_manifest(self.root)) != self._manifest_digest:
            wanted = "the dataset with which the run began"
            raise InputError(fault(self.root, MANIFEST_NAME, found="another dataset", wanted=wanted))
        looks = self._look()
        changed = [file for file in self.files if looks[file.path] != self._looks[file.path]]
        faults = [text for file in changed for text in self._faults(file)]
        if faults:
            raise InputError([f"{text}: changed since the run began" for text in faults])
        self._looks = looks

    def _note_looks(self) -> None:
        self._looks = self._look()

    def _look(self) -> dict[str, str]:
        # One listing of the folder: an object store would be asked once for each file otherwise.
        filesystem, base = open_storage(self.root)
        filesystem.invalidate_cache()
        found = filesystem.find(posixpath.join(base, "samples"), detail=True)
        names = {file.path: posixpath.join(base, file.path) for file in self.files}
        return {path: str(found.get(name, "no such file")) for path, name in names.items()}

    def _faults(self, file: PartFile) -> list[str]:
        PULSE.renew()
        try:
            return file_faults(self.root, [file])
        except Exception as error:  # noqa: BLE001 - of a store, any kind; the other ranks wait to be told
            return [fault(self.root, file.path, found=f"'{error}'", wanted="a file that can be read")]


def _raise_on_all(comm: Comm, faults: Sequence[str]) -> None:
    """Raise the faults of all ranks on each of them."""
    own = np.array(bytearray((json.dumps(list(faults)) + "\n").encode()))
    told = comm.gather(own).tobytes().decode().splitlines()
    everyones = [text for line in told for text in json.loads(line)]
    if everyones:
        raise InputError(everyones)
