"""Which runs of a group count, each once."""

from collections.abc import Mapping, Sequence

from sharpscope.comparing.matching import run_of
from sharpscope.comparing.runs import Checkpoint, Key, Run
from sharpscope.errors import MisuseError

Chosen = Mapping[str, Sequence[Run]]


def check_once(group: str, checkpoints: Sequence[Checkpoint]) -> None:
    """Refuse a run that would count as several: one file twice, or one training at other epochs.

    Raises:
        MisuseError: If there are two; both are named.
    """
    for place, one in enumerate(checkpoints):
        for other in checkpoints[:place]:
            if one.sha is not None and one.sha == other.sha:
                raise MisuseError(
                    f"{other.name} and {one.name} in group {group} are one checkpoint, and a run "
                    "counts once: name it once"
                )
            if _one_training(one, other):
                raise MisuseError(
                    f"{other.name} and {one.name} in group {group} are epochs {_told(other)} and "
                    f"{_told(one)} of one run, and a run counts once: name the final ones, or "
                    "compare at equal loss with --match train-loss"
                )


def _one_training(one: Checkpoint, other: Checkpoint) -> bool:
    if one.name != other.name and run_of(one.name) == run_of(other.name):
        return True
    known = bool(one.recipe) and one.seed is not None and one.epoch != other.epoch
    return known and one.recipe == other.recipe


def _told(checkpoint: Checkpoint) -> str:
    return "unknown" if checkpoint.epoch is None else str(checkpoint.epoch)


def counted(key: Key, runs: Mapping[str, Sequence[Run]]) -> dict[str, list[Run]]:
    """Return the runs of each group that have a number, in the order of their seeds.

    Where groups of several share two training seeds or more, their other runs are left out, so
    that every mean and every difference is of the same runs.
    """
    found = {name: [run for run in group if key in run.found] for name, group in runs.items()}
    several = [group for group in found.values() if len(group) > 1]
    if len(several) < 2 or not all(map(tells_seeds, several)):
        return found
    common = set.intersection(*({run.seed for run in group} for group in several))
    if len(common) < 2:
        return found
    return {
        name: group
        if len(group) < 2
        else sorted((run for run in group if run.seed in common), key=lambda run: run.seed or 0)
        for name, group in found.items()
    }


def tells_seeds(runs: Sequence[Run]) -> bool:
    """Whether each run has a training seed of its own."""
    seeds = [run.seed for run in runs]
    return None not in seeds and len(set(seeds)) == len(seeds)
