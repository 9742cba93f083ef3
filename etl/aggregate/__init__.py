"""From variants × samples to gene features × samples: burden masks and their sums."""
