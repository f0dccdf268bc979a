"""What a screening leaves in files: a brief training of a candidate, a round, the decision."""

from segbench.system.records import Record

DECISION = "screening/decision.json"  # below the folder of the experiment
# iteration and mean IoU of a validation
Point = tuple[int, float]


class BriefTraining(Record):
    """How far a candidate came by the end of a round.

    Attributes:
        candidate: `model/initialization`.
        iteration: up to which it was trained.
        iterations: of its whole training.
        curve: its validations.
    """

    candidate: str
    iteration: int
    iterations: int
    curve: tuple[Point, ...]


class RoundRecord(Record):
    """What a round found.

    Attributes:
        number: from 1.
        share: of its iterations for which every candidate was trained.
        trainings: of the candidates that took part.
        kept: candidates that go on, the best first.
    """

    number: int
    share: float
    trainings: tuple[BriefTraining, ...]
    kept: tuple[str, ...]

    @property
    def curves(self) -> dict[str, tuple[Point, ...]]:
        """The validations of every candidate that took part."""
        return {one.candidate: one.curve for one in self.trainings}


class Decision(Record):
    """Which candidates are trained to their end, and all that it rests on.

    Attributes:
        origin: digest of the candidates and of how they are trained.
        rounds: in their order.
        not_screened: candidates in which nothing is trained, which are compared in any case.
    """

    origin: str
    rounds: tuple[RoundRecord, ...]
    not_screened: tuple[str, ...] = ()

    @property
    def kept(self) -> tuple[str, ...]:
        """Candidates that are compared: the best of the last round first."""
        return (*self.rounds[-1].kept, *self.not_screened)
