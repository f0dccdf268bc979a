"""Parts of a network that are computed in less time, with the same result up to rounding.

Each takes the place of one published class, whose weights and settings it keeps.
"""
