"""Effects of genes by empirical Bayes: the weights of the network's direct path, and how sure they are."""
