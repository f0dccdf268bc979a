"""How a training is carried out, as opposed to what is trained."""

from pydantic import BaseModel, ConfigDict


class Execution(BaseModel):
    """How a training is carried out; what comes out of it does not depend on it.

    Attributes:
        threads: CPU threads of the network; on a GPU, processes that read images.
        devices: GPUs that the run is trained on, in as many processes.
        save_minutes: minutes between two saves of the state.
        decoded_gb: most 10^9 bytes of the disk that decoded images of a dataset may take.
        until: iteration after which it pauses, None for none.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    threads: int
    devices: int = 1
    save_minutes: float = 5
    decoded_gb: float = 16
    until: int | None = None

    def of_each(self) -> "Execution":
        """That of each process, where one per device trains."""
        threads = max(1, self.threads // self.devices)
        return self.model_copy(update={"threads": threads})
