"""Training as the command line shows it."""

from sharpscope.training import Epoch
from sharpscope_cli.progress import Line, duration


class EpochWatch:
    """Shows each epoch with the loss and the time left."""

    def __init__(self, line: Line, what: str):
        self.line = line
        self.what = what
        line.show(f"{what}: loading the data")

    def __call__(self, epoch: Epoch) -> None:
        """Show how far training is."""
        left = (epoch.epochs - epoch.epoch) * epoch.seconds / epoch.epoch
        self.line.show(
            f"{self.what}: epoch {epoch.epoch} of {epoch.epochs}, loss {epoch.loss:.4g}, "
            f"about {duration(left)} left"
        )
