"""What a variant does to which gene: the gene axis and the consequences of variants on it."""
