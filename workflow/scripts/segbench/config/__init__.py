"""What a user may write in a config: its sections, their types and the words of refusal.

Knows pydantic. Must not know Snakemake, torch, the model zoo or the data: what those say about a
config is judged in `plan`.
"""
