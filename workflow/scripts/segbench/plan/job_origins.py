"""What the outputs of every job of an experiment would come from now."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

from segbench.datasets.description import DatasetDescription
from segbench.datasets.meaning import what_is_grouped, what_is_shown
from segbench.plan.run_settings import settings_that_count
from segbench.plan.runs import RunKey
from segbench.plan.starts import StartingPoints
from segbench.system.origins import digest_of
from segbench.zoo.names import config_digest, published_batch


@dataclass(frozen=True)
class JobOrigins:
    """Digests of code and settings, by job.

    Attributes:
        starts: the runs of the experiment.
        datasets: what each prepared dataset comes from, by its name.
        outside: what the scores of other tools' predictions come from, by path of the run.
        code: digest of a script, given its name, and of the library code that it reaches.
    """

    starts: StartingPoints
    datasets: Mapping[str, str]
    outside: Mapping[str, str]
    code: Callable[[str], str]

    def of_config(self, run: RunKey) -> str:
        """What the config of a run comes from."""
        config = self.starts.experiment.models[run.model].config
        return digest_of(
            code=self.code("render_config.py"),
            zoo_config=config,
            zoo_digest=config_digest(config),
            published_batch=published_batch(config),
            settings=settings_that_count(self.starts, run),
        )

    def of_training(self, run: RunKey) -> str:
        """What the weights of a run come from, beside its inputs."""
        is_taken = run.initialization == "zero_shot"
        return digest_of(code=self.code("take_checkpoint.py" if is_taken else "train_run.py"))

    @cached_property
    def of_evaluation(self) -> str:
        """What the scores of any run come from, beside its inputs."""
        experiment = self.starts.experiment
        return digest_of(
            code=self.code("evaluate_run.py"),
            evaluation=experiment.evaluation.model_dump(mode="json"),
        )

    @cached_property
    def of_cost(self) -> str:
        """What the cost of any model comes from, beside its inputs."""
        return digest_of(code=self.code("measure_cost.py"))

    def of_drawing(self, dataset: DatasetDescription) -> str:
        """What tables and figures of a dataset's classes come from, beside their inputs."""
        grouped = what_is_grouped(dataset)
        more = {"levels": grouped} if grouped else {}
        return digest_of(classes=what_is_shown(dataset), **more)

    @cached_property
    def of_figures(self) -> str:
        """What the figures of the comparison come from, beside their inputs."""
        images = self.starts.experiment.gallery_images
        return digest_of(drawing=self.of_drawing(self.starts.target), images=images)

    @cached_property
    def expected(self) -> dict[str, str]:
        """What every result would come from, by the first output of its job."""
        starts, results = self.starts, self.starts.results
        expected = {_of(name, "manifest.json"): origin for name, origin in self.datasets.items()}
        for dataset in filter(None, (starts.target, starts.source)):
            expected[_of(dataset.name, "card/classes.png")] = self.of_drawing(dataset)
        expected[f"{results}/tables/models.csv"] = self.of_drawing(starts.target)
        expected[f"{results}/figures/models.png"] = self.of_figures
        expected[f"{results}/index.html"] = self.of_drawing(starts.target)
        for run in starts.runs:
            folder = f"{results}/runs/{run.path}"
            expected[f"{folder}/config.py"] = self.of_config(run)
            expected[f"{folder}/best.pth"] = self.of_training(run)
            expected[f"{folder}/confusion.npz"] = self.of_evaluation
            expected[f"{results}/runs/{run.model}/cost.json"] = self.of_cost
        for path, origin in self.outside.items():
            expected[f"{results}/runs/{path}/confusion.npz"] = origin
        return expected

    def in_order(self) -> list[str]:
        """The first output of every job that leaves behind what it came from, in their order."""
        starts, results = self.starts, self.starts.results
        first = [
            _of(name, file) for file in ("manifest.json", "check.json") for name in self.datasets
        ]
        runs = [f"{results}/runs/{run.path}" for run in starts.runs]
        first += [f"{run}/config.py" for run in runs]
        first += [f"{results}/check/{model}/{start}.json" for model, start in starts.first_runs]
        first += [f"{run}/{file}" for file in ("best.pth", "confusion.npz") for run in runs]
        first += [f"{results}/runs/{path}/confusion.npz" for path in self.outside]
        first += [f"{results}/runs/{model}/cost.json" for model in starts.experiment.models]
        first += [_of(name, "card/classes.png") for name in self.datasets]
        last = ("tables/models.csv", "figures/models.png", "index.html")
        return [*first, *(f"{results}/{name}" for name in last)]


def _of(dataset: str, file: str) -> str:
    return f"results/datasets/{dataset}/{file}"
