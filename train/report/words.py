"""Numbers and names as people read them, in the report and in the model card."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

KINDS = {
    "gene_cnn": "gene effects by empirical Bayes, with convolutions along the genome for what they leave",
    "paper": "the published convolutional network (doi 10.1515/jib-2024-0057)",
}
"""Networks by `model.kind`."""


def is_measured(value: Any) -> bool:
    """Whether an interval holds an estimate, or a number is one."""
    estimate = value.get("estimate") if isinstance(value, Mapping) else value
    return isinstance(estimate, int | float) and math.isfinite(estimate)


def interval_text(interval: Mapping[str, Any] | float | None) -> str:
    """An estimate with its interval, such as 0.712 (0.604 to 0.811), or the words that stand for it."""
    if not is_measured(interval):
        note = interval.get("note") if isinstance(interval, Mapping) else None
        return str(note or "not measured")
    reach = range_text(interval)
    return f"{estimate_text(interval)} ({reach})" if reach else estimate_text(interval)


def estimate_text(interval: Mapping[str, Any] | float | None) -> str:
    """The estimate alone, or the words that stand for it."""
    if not is_measured(interval):
        return interval_text(interval)
    return number_text(interval["estimate"] if isinstance(interval, Mapping) else interval)


def range_text(interval: Mapping[str, Any] | float | None) -> str:
    """The interval alone, such as 0.604 to 0.811, or why there is none; empty beside a bare number."""
    if not isinstance(interval, Mapping) or not is_measured(interval):
        return ""
    low, high = interval.get("low"), interval.get("high")
    if not (is_measured(low) and is_measured(high)):
        return str(interval.get("note") or "no interval")
    return f"{number_text(low)} to {number_text(high)}"


def number_text(value: Any, digits: int = 3) -> str:
    """That many decimals, with a true minus sign."""
    # Adding 0 turns a rounded −0 into 0.
    return f"{round(float(value), digits) + 0.0:.{digits}f}".replace("-", "−")


def cell_look(text: str) -> str:
    """Class of the style sheet: numbers stay on one line, words are broken."""
    return "interval" if text[:1].isdigit() or text[:1] == "−" else "words"


def flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Settings of a tree by their path: data.batch_size."""
    found: dict[str, Any] = {}
    for name, value in settings.items():
        found |= flat(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {f"{prefix}{name}": value}
    return found


def sentence(text: str | None) -> str:
    """Text with a capital and a full stop, as a sentence; empty stays empty."""
    text = (text or "").strip()
    if not text:
        return ""
    return text[0].upper() + text[1:] + ("" if text[-1] in ".!?:" else ".")


def joined(words: list[str]) -> str:
    """Words as a sentence lists them: a, b and c."""
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
