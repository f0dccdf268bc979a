"""The command line beside the workflow: what there is, how far it is, and whether it is right.

`make setup` puts it on the path of the environment it makes.
"""

import argparse
import sys
from pathlib import Path

from segbench.errors import ConfigError, SegbenchError
from segbench.zoo.listing import SORT_KEYS

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
    except KeyboardInterrupt:
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m segbench", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_zoo(commands.add_parser("zoo", help="list the published models of MMSegmentation's zoo"))
    docs = commands.add_parser("docs", help="write the JSON schemas and the manual's tables")
    docs.set_defaults(run=_write_documentation)
    _add_status(commands.add_parser("status", help="how far the runs of an experiment are"))
    verify = commands.add_parser("verify", help="recompute every table, and confirm every hash")
    verify.add_argument("experiment", help="its name, its folder in results/, or its config")
    verify.set_defaults(run=_verify)
    _add_predict(commands.add_parser("predict", help="predict images with a run or a zoo model"))
    export = commands.add_parser("export", help="hand a run over: an ONNX file and a model card")
    export.add_argument("run_folder", type=Path, help="folder of a finished run")
    export.add_argument("--out", type=Path, help="folder for the files; default: export/ in it")
    # the only form so far, which who names it gets
    export.add_argument("--onnx", action="store_true", help="as ONNX, which is the default")
    export.set_defaults(run=_export)
    bundle = commands.add_parser(
        "bundle", help="for machines without a network: see docs/offline.md"
    )
    bundle.add_argument("action", choices=["add", "verify", "take"])
    bundle.add_argument("folder", type=Path, help="the bundle")
    bundle.add_argument("files", type=Path, nargs="*", help="to add: files below resources/")
    bundle.set_defaults(run=_bundle)
    return parser


# what a command needs is imported by it, so that each answers at once


def _write_documentation(options: argparse.Namespace) -> None:
    from segbench.documentation import write_documentation

    write_documentation(ROOT)


def _add_status(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("experiment", help="its name, its folder in results/, or its config")
    parser.add_argument("--watch", action="store_true", help="draw it again every two seconds")
    parser.add_argument("--all", action="store_true", help="list every run")
    parser.add_argument("--json", action="store_true", help="for programs: an object per run")
    parser.set_defaults(run=_show_status)


def _show_status(options: argparse.Namespace) -> None:
    from segbench.plan.find_results import find_results
    from segbench.report import status
    from segbench.system.run_status import read_status

    results = find_results(options.experiment)
    if options.json:
        print(status.as_json(read_status(results)))
    else:
        status.show(results, options.all, options.watch)


def _verify(options: argparse.Namespace) -> None:
    from segbench.plan.find_results import find_results
    from segbench.report.verify import verify

    print("\n".join(verify(find_results(options.experiment))))


def _add_predict(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "model",
        help="folder of a run, an experiment, whose best run is taken, or a published model",
    )
    parser.add_argument(
        "images", nargs="+", help="folders, images, 'patterns', and .txt files that list paths"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder for the results")
    parser.add_argument("--batch-size", type=_count, default=1, help="images at a time; default: 1")
    parser.add_argument("--device", help="such as cpu or cuda:0; default: a free GPU, or the CPU")
    parser.add_argument("--threads", type=_count, help="of the CPU")
    parser.add_argument(
        "--no-pictures", action="store_true", help="write neither overlays nor confidence maps"
    )
    parser.set_defaults(run=_predict)


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is less than 1")
    return number


def _predict(options: argparse.Namespace) -> None:
    from segbench.engine.predict import predict, say_outcome
    from segbench.system.logs import speaking

    with speaking():
        outcome = predict(
            options.model,
            options.images,
            options.out,
            options.batch_size,
            not options.no_pictures,
            options.device,
            options.threads,
        )
        say_outcome(outcome, options.out)
    if outcome.broken:
        raise SegbenchError(f"{len(outcome.broken)} images cannot be read; all others are done")


def _export(options: argparse.Namespace) -> None:
    from segbench.engine.export import export
    from segbench.system.logs import speaking

    with speaking():
        done = export(options.run_folder, options.out or options.run_folder / "export")
    size = "any size" if done.size is None else f"{done.size[1]}x{done.size[0]}"
    print(
        f"{done.graph}: reads images of {size}; {100 * done.agreement:.2f} % of the pixels agree "
        f"with the model on each of {done.images} images. {done.card} says how to use it."
    )


def _bundle(options: argparse.Namespace) -> None:
    from segbench.system import bundle

    if options.action == "add":
        count = bundle.add_resources(options.folder, options.files)
        print(f"{options.folder}: {count} files, listed with their hashes in {bundle.LIST}")
    elif options.action == "verify":
        print(f"{options.folder}: {len(bundle.verify_bundle(options.folder))} files, all sound")
    else:
        count = bundle.take_resources(options.folder, Path())
        print(f"{options.folder}: {count} weights and archives are in place")


def _add_zoo(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("words", nargs="*", help="words that a model's line must all hold")
    parser.add_argument("--search", nargs="+", default=[], metavar="WORD", help="the same")
    parser.add_argument("--dataset", help="only models published for it, such as cityscapes")
    parser.add_argument("--family", help="only this family, such as DeepLabV3+")
    parser.add_argument(
        "--runnable", action="store_true", help="only models that need nothing further installed"
    )
    parser.add_argument(
        "--source",
        choices=["zoo", "timm", "all"],
        default="zoo",
        help="timm: the configs in config/models, of backbones that the zoo does not have",
    )
    parser.add_argument("--sort", choices=sorted(SORT_KEYS), default="name", help="default: name")
    parser.add_argument(
        "--format",
        choices=["table", "csv", "md", "names"],
        default="table",
        help="names: every config name, those without published weights too",
    )
    parser.set_defaults(run=_list_zoo)


def _list_zoo(options: argparse.Namespace) -> None:
    from segbench.zoo.index import all_published, own_configs
    from segbench.zoo.listing import ordered, select, written
    from segbench.zoo.names import config_paths

    words = [*options.words, *options.search]
    is_narrowed = options.runnable or options.dataset is not None or options.family is not None
    if options.format == "names" and not is_narrowed and options.source == "zoo":
        names = config_paths()
        found = [n for n in names if all(w.lower() in n.lower() for w in words)]
        if not found:
            raise ConfigError(f"none of the {len(names)} names holds all of: {', '.join(words)}")
        print("\n".join(found))
        return
    published = [] if options.source == "timm" else all_published()
    if options.source != "zoo":
        published += own_configs()
    chosen = select(published, words, options.dataset, options.family, options.runnable)
    print(written(ordered(chosen, options.sort), options.format), end="", flush=True)
    if options.format == "table":
        print(
            f"{len(chosen)} of {len(published)} published models. Weights and hashes: "
            "--format csv; configs without published weights too: --format names",
            file=sys.stderr,
        )


if __name__ == "__main__":
    sys.exit(main())
