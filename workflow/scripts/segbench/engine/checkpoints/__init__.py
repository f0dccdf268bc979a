"""Read checkpoints without trusting them, and fit their entries to a model.

Knows tensors and modules; must not know runs or configs.
"""
