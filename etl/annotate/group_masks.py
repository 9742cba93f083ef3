"""Masks out of regenie's mask definitions, which stand beside its annotation file."""

from __future__ import annotations

from contract.errors import InputError, fault
from etl.aggregate.config import MaskConfig, MasksConfig
from etl.annotate.config import GroupFile
from etl.annotate.group_files import read_mask_words
from etl.annotate.groups import word_class


def file_masks(config: GroupFile) -> MasksConfig | None:
    """One mask for each line: variants with one of its annotations, up to `max_frequency`, under `combine`.

    Annotations are asked for by the file's own words, so that two words of one class stay apart; the classes
    are named beside them.

    Returns
    -------
    MasksConfig | None
        None: no mask definitions are given.

    Raises
    ------
    InputError
        If the file can't be read, a line has no annotations, a mask stands in it twice, or it has none.
    """
    if config.masks is None:
        return None
    found = read_mask_words(config.masks)
    if not found:
        raise InputError(fault(config.masks, "masks", found="none", wanted="a name and annotations by line"))
    masks = []
    for name, words in found.items():
        classes = dict.fromkeys(word_class(word, config.classes) for word in words)
        settings = {"max_frequency": config.max_frequency, "combine": config.combine}
        condition = {"classes": tuple(classes), "terms": tuple(words)}
        masks.append(MaskConfig.model_validate({"name": name, "any_of": (condition,), **settings}))
    return MasksConfig(masks=tuple(masks))


def unused_masks(config: GroupFile | None, masks: MasksConfig) -> list[str]:
    """A sentence on mask definitions of regenie that the configuration's own masks stand for."""
    if config is None or config.masks is None or file_masks(config) == masks:
        return []
    return [f"{config.masks}: its masks are no channels: the configuration's block masks goes before them"]
