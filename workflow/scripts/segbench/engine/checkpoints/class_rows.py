"""Load a checkpoint of a whole model, row by row where its classes differ. Imports torch.

Of the layers that know classes, the rows of a class are those of the source classes that stand for
it; a class without a counterpart keeps its fresh rows. Nothing is ever dropped silently.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from segbench.engine.checkpoints.load import LoadReport, fit_prefix, read_state_dict
from segbench.engine.checkpoints.position_embeddings import at_size_of
from segbench.errors import ModelError

LOG = logging.getLogger(__name__)
MIN_LOADED_SHARE = 0.9


@dataclass(frozen=True, slots=True)
class ClassRows:
    """Which rows of a checkpoint's class layers go where.

    Attributes:
        source: names of the checkpoint's classes, by id.
        target: names of the model's classes, by id.
        sources_of: for every class of the model the ids of the source classes that stand for it.
    """

    source: Sequence[str]
    target: Sequence[str]
    sources_of: Sequence[Sequence[int]]

    def sentence(self) -> str:
        """Which classes kept what they had learnt."""
        kept, fresh = [], []
        for name, ids in zip(self.target, self.sources_of, strict=True):
            if ids:
                names = " + ".join(self.source[i] for i in ids)
                kept.append(name if names.lower() == name.lower() else f"{name} <- {names}")
            else:
                fresh.append(name)
        text = f"class rows kept: {', '.join(kept) or 'none'}"
        return f"{text}; fresh: {', '.join(fresh)}" if fresh else text


def load_finetuned(
    model: nn.Module, path: Path, axes: Mapping[str, int], rows: ClassRows
) -> LoadReport:
    """Load a checkpoint trained on other classes.

    Args:
        model: built for the target's classes, with fresh weights.
        path: the checkpoint.
        axes: of every entry whose shape depends on the number of classes, the axis that does.
        rows: which rows go where.

    Raises:
        ModelError: the checkpoint is of another architecture.
    """
    own = model.state_dict()
    given = at_size_of(model, fit_prefix(read_state_dict(path), own))
    taken: dict[str, Tensor] = {}
    for key in own.keys() & given.keys():
        if key in axes:
            mapped = _mapped(own[key], given[key], axes[key], rows)
            if mapped is not None:
                taken[key] = mapped
        elif own[key].shape == given[key].shape:
            taken[key] = given[key]
    return _load(model, path, given, taken)


def load_whole(model: nn.Module, path: Path) -> LoadReport:
    """Load a checkpoint into a model of the same classes.

    Raises:
        ModelError: anything but an auxiliary head is missing or of another shape.
    """
    own = model.state_dict()
    given = at_size_of(model, fit_prefix(read_state_dict(path), own))
    fitting = {k: v for k, v in given.items() if k in own and v.shape == own[k].shape}
    report = LoadReport.of("model", own, given, fitting)
    # auxiliary heads are for training; predictions do not need them
    needed = [k for k in (*report.missing, *report.mismatched) if not k.startswith("auxiliary_")]
    if needed:
        raise ModelError(
            f"{path}: does not fit the model: {report.sentence()}. For `zero_shot` it must hold "
            "every weight of this very config; name another `checkpoint`."
        )
    return _load(model, path, given, fitting)


def _mapped(own: Tensor, given: Tensor, axis: int, rows: ClassRows) -> Tensor | None:
    """An entry with the rows of its classes taken from the checkpoint; None if it has no place.

    Where outputs are more than the classes, classes come first: the last one of a mask head stands
    for no object. Where inputs are more (PointRend joins features and scores), classes come last.
    """
    more = own.shape[axis] - len(rows.target)
    others_fit = own.ndim == given.ndim and all(
        size == own.shape[i] for i, size in enumerate(given.shape) if i != axis
    )
    if more < 0 or not others_fit or given.shape[axis] != more + len(rows.source):
        return None
    result, is_output = own.clone(), axis == 0
    first = 0 if is_output else more
    own_rest, given_rest = (len(rows.target), len(rows.source)) if is_output else (0, 0)
    result.narrow(axis, own_rest, more).copy_(given.narrow(axis, given_rest, more))
    for target, ids in enumerate(rows.sources_of):
        if ids:
            chosen = given.index_select(axis, torch.tensor([first + i for i in ids]))
            # several source classes in one: their mean is as good a start as any of them
            result.select(axis, first + target).copy_(chosen.to(result.dtype).mean(axis))
    return result


def _load(
    model: nn.Module, path: Path, given: Mapping[str, Tensor], taken: Mapping[str, Tensor]
) -> LoadReport:
    report = LoadReport.of("model", model.state_dict(), given, taken)
    if report.loaded < MIN_LOADED_SHARE * report.wanted:
        raise ModelError(
            f"{path}: is a checkpoint of another architecture: {report.sentence()}. Name one of "
            "this very config in `checkpoint`."
        )
    model.load_state_dict(dict(taken), strict=False)
    complete = report.loaded == report.wanted
    (LOG.info if complete else LOG.warning)("%s: %s", path, report.sentence())
    return report
