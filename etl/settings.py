"""Plain settings, before they are a configuration."""

from __future__ import annotations

from typing import Any


def merged(settings: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Settings with changes in them, level by level."""
    result = dict(settings)
    for key, value in changes.items():
        below = result.get(key)
        if isinstance(below, dict) and isinstance(value, dict):
            value = merged(below, value)
        result[key] = value
    return result


def with_data(value: Any, data: str) -> Any:
    """Settings whose texts name the folder of the inputs where they say {data}."""
    if isinstance(value, dict):
        return {key: with_data(inner, data) for key, inner in value.items()}
    if isinstance(value, list):
        return [with_data(inner, data) for inner in value]
    return value.replace("{data}", data) if isinstance(value, str) else value
