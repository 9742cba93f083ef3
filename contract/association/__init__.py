"""Association of single features with status: one set of tests for the ETL's table and for explanations.

Imports scipy and scikit-learn, which the contract itself does not need: import it where tests are made.
"""
