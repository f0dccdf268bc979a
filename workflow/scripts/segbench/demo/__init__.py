"""Drawn road scenes in the exact form of IDD 20k II, so that everything runs without a download.

`scene` says what a camera sees on an urban or a rural road, `actors` what vehicles, people and
street furniture look like, `render` turns a scene into an image, and `dataset` writes the files.
A picture and its annotation come from the same polygons, so the labels are exact.
"""
