"""What cannot change a result: files, downloads, locks, logs, progress, provenance, digests.

Knows no model and no dataset. No digest of a rule covers it.
"""
