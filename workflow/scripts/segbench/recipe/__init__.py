"""From a config of the zoo to the config of one run: classes, crop, data, optimizer, schedule.

Knows mappings and MMEngine's config. Must not know torch or mmseg: nothing is built here.
"""
