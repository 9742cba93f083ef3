"""The training report: one offline page of what fit, evaluate, audit, ladder and explain left in a run."""
