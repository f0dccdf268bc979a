"""From a dataset in the form its authors gave it to one that every model can read, and its checks.

Opens each file once and knows images, labels and their classes. Must not know models or runs. A
form of label is added in `labels`, a layout in `layout`, a check in `check`.
"""
