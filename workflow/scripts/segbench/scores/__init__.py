"""From two label maps to counts, and from counts to every score and interval.

Needs NumPy alone, so that anything may use it. Must not know files, runs or models.
"""
