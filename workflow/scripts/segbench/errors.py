"""Errors that are written for people: what is wrong, where, and what to do.

Everything a user can cause is raised as a `SegbenchError`. The scripts and the command line
print its message without a traceback; any other exception is a defect of segbench.
"""

import difflib
from collections.abc import Iterable


class SegbenchError(Exception):
    """A problem the user can mend. Its message names the place and the remedy."""

    def __str__(self) -> str:
        """The message; names in it come from files of others, so control characters are escaped."""
        return escaped(super().__str__())


class ConfigError(SegbenchError):
    """The experiment config or a dataset description is wrong."""


class DataError(SegbenchError):
    """An image, a label, an archive or a whole dataset cannot be used."""


class DownloadError(SegbenchError):
    """A file cannot be fetched, or is not the one that was promised."""


class ModelError(SegbenchError):
    """A model cannot be adapted, built, initialised or trained."""


def escaped(text: str) -> str:
    """Text as it can be shown and written anywhere: no control characters, no broken Unicode."""
    if text.isascii() and text.replace("\n", "").isprintable():
        return text
    return "".join(
        one if one == "\n" or one.isprintable() else one.encode("unicode_escape").decode()
        for one in text
    )


def did_you_mean(word: str, valid: Iterable[str], shown: int = 12) -> str:
    """Suggest the nearest valid words, or list the valid words when there are few.

    Args:
        word: what the user wrote.
        valid: the words that would have been accepted.
        shown: up to this many valid words are listed in full.

    Returns:
        A sentence that starts with a space, or the empty string if nothing helps.
    """
    words = sorted(set(valid))
    near = difflib.get_close_matches(word, words, n=3, cutoff=0.6)
    hint = f" Did you mean {_or(near)}?" if near else ""
    if len(words) <= shown:
        hint += f" Valid: {', '.join(words)}."
    return hint


def _or(words: list[str]) -> str:
    quoted = [f"'{word}'" for word in words]
    return quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} or {quoted[-1]}"
