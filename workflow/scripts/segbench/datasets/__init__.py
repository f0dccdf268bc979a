"""From a dataset in the form its authors gave it to one that every model here can read.

`description` says what a dataset looks like, `archives` unpacks one, `layout` pairs images with
labels, `labels` reads a label map, `prepare` does all of it in one pass and `check` judges the
outcome. A further form of label or layout is added in `labels` or `layout` alone.
"""
