"""The command line beside the workflow: `python -m segbench zoo | docs`.

`make setup` puts it on the path of the environment it makes.
"""

import argparse
import sys
from pathlib import Path

from segbench import documentation, zoo
from segbench.errors import SegbenchError

ROOT = Path(__file__).resolve().parents[3]


def main(arguments: list[str] | None = None) -> int:
    """Run a command.

    Args:
        arguments: the words after `python -m segbench`; by default those of this process.

    Returns:
        The exit status.
    """
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
    except SegbenchError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:  # the reader, such as `head`, has seen enough
        sys.stderr.close()
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m segbench", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    listing = commands.add_parser("zoo", help="list the config names of MMSegmentation's zoo")
    listing.add_argument("words", nargs="*", help="list only names that contain all these words")
    listing.set_defaults(run=_list_zoo)
    docs = commands.add_parser("docs", help="write the JSON schemas and the manual's tables")
    docs.set_defaults(run=lambda options: documentation.write_documentation(ROOT))
    return parser


def _list_zoo(options: argparse.Namespace) -> None:
    for name in zoo.config_paths():
        if all(word.lower() in name.lower() for word in options.words):
            print(name)


if __name__ == "__main__":
    sys.exit(main())
