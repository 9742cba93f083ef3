"""Rivals of the network: what it has to be better than; see `train.rivals.registry`."""
