"""What will run, settled before anything does: the run table, starting points, preconditions.

A dry run asks it, so it knows configs, dataset descriptions and the zoo, but neither torch nor
the content of a dataset.
"""
