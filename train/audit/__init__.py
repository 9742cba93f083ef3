"""The leak audit: whether a score can be believed, one module per group of checks.

Begin with `train.audit.run.audit_run`; `train.audit.registry` lists the checks, `train.audit.verdict` weighs
them.
"""
