"""Everything that builds or runs a network: training, evaluation, checks, checkpoints.

The only package that imports torch and mmseg. Meets the report in files alone.
"""
