"""The two stages of an experiment with `screening`: brief trainings, then a comparison.

Which stage it is follows from the decision that the first one leaves. It holds the digest of the
candidates and their settings, so that another candidate or another setting is screened anew; what
is trained already goes on from where it stands.
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Self

from segbench.config.experiment import Experiment
from segbench.datasets.meaning import what_counts
from segbench.errors import ConfigError, DataError
from segbench.plan.run_settings import settings_that_count
from segbench.plan.runs import RunKey
from segbench.plan.starts import StartingPoints
from segbench.scores.halving import Round, rounds
from segbench.system.origins import digest_of
from segbench.system.screening_records import DECISION, Decision
from segbench.zoo.names import config_digest


@dataclass(frozen=True)
class ScreeningPlan:
    """What is screened, and in which rounds.

    Attributes:
        starts: the runs of the whole experiment.
    """

    starts: StartingPoints

    @classmethod
    def of(cls, starts: StartingPoints) -> Self | None:
        """The plan of an experiment; None without `screening`.

        Raises:
            ConfigError: there is nothing to screen.
        """
        screening = starts.experiment.screening
        if screening is None:
            return None
        plan = cls(starts)
        if len(plan.candidates) <= screening.keep:
            raise ConfigError(
                f"config: `screening.keep`: {screening.keep} of {len(plan.candidates)} candidates "
                "are to be kept, so there is nothing to screen. Lower it, add models, or leave out "
                "`screening`."
            )
        return plan

    @cached_property
    def candidates(self) -> dict[str, RunKey]:
        """The run that stands for each candidate, `model/initialization`, in the config's order."""
        return {
            f"{run.model}/{run.initialization}": run
            for run in self.starts.first_runs.values()
            if not run.on_source and run.initialization != "zero_shot"
        }

    @cached_property
    def not_screened(self) -> list[str]:
        """Candidates in which nothing is trained."""
        firsts = self.starts.first_runs.values()
        return [f"{run.model}/zero_shot" for run in firsts if run.initialization == "zero_shot"]

    @cached_property
    def rounds(self) -> dict[str, Round]:
        """Its rounds by their names."""
        screening = self.starts.experiment.screening
        assert screening is not None  # `of` made sure
        found = rounds(len(self.candidates), screening.keep, screening.first)
        return {f"round{one.number}": one for one in found}

    @cached_property
    def origin(self) -> str:
        """Digest of the candidates and of how they are screened and trained."""
        experiment = self.starts.experiment
        return digest_of(
            screening=[(one.share, one.keep) for one in self.rounds.values()],
            data=what_counts(self.starts.target),
            candidates={
                name: {
                    "zoo_config": config_digest(experiment.models[run.model].config),
                    "settings": settings_that_count(self.starts, run),
                }
                for name, run in self.candidates.items()
            },
        )

    def decision(self) -> Decision | None:
        """What was decided; None before that.

        A decision of other candidates or settings, or one that is damaged, is none.
        """
        try:
            decision = Decision.read(Path(self.starts.results) / DECISION)
        except DataError:
            return None
        return decision if decision.origin == self.origin else None

    def decided(self) -> Experiment | None:
        """The experiment with the candidates that are left; None before the decision."""
        decision = self.decision()
        return self.starts.experiment.with_candidates(decision.kept) if decision else None
