"""Records: the small JSON files in which one job leaves to others what it found.

Each kind of file is one class, so that it is written and read in one place. A file of another form,
damaged or foreign, is refused with its name and the remedy. Knows no kind itself.
"""

import json
from pathlib import Path
from typing import ClassVar, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from segbench.errors import DataError
from segbench.system.files import write_whole


class Record(BaseModel):
    """What a JSON file holds.

    Attributes:
        form: number of the form of the file; a subclass raises `FORM` when what a field means
            changes, so that files of before are not misread.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    FORM: ClassVar[int] = 1
    form: int = 1

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a file.

        Raises:
            DataError: there is none, or it is damaged or of another form; says what to do.
        """
        content = _content(path)
        if content.get("form") != cls.FORM:
            raise DataError(
                f"{path}: was written by another version of segbench (form "
                f"{content.get('form', 'unknown')}, this one reads {cls.FORM}). Remove it and run "
                "again: what is still valid is not computed again."
            )
        try:
            return cls.model_validate(content)
        except ValidationError as error:
            key, problem = first_problem(error)
            raise DataError(
                f"{path}: is not as segbench writes it (`{key}`: {problem}). Remove it and run "
                "again."
            ) from None

    def write(self, path: Path) -> None:
        """Write the file, whole or not at all.

        Raises:
            OSError: it cannot be written.
        """
        content = {**self.model_dump(mode="json"), "form": self.FORM}
        write_whole(path, f"{json.dumps(content, indent=1)}\n".encode())


def first_problem(error: ValidationError) -> tuple[str, str]:
    """The first key that does not fit, and why."""
    first = error.errors()[0]
    return ".".join(map(str, first["loc"])), first["msg"]


def _content(path: Path) -> dict[str, object]:
    try:
        content = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise DataError(f"{path}: no such file. Run the workflow again to make it.") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from None
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict):
        raise DataError(f"{path}: is damaged, or not a file of segbench. Remove it and run again.")
    return content
