"""Published experiments, one module per subject.

Every module has ``study(pair, quick, state)``, which measures and returns a record, and
``figures(record)``, which draws it from the record's tables alone.
"""
