"""Burden association of a finished dataset: whether its tensors are sound, before any network."""
