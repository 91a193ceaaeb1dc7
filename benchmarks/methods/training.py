"""Train all rows: each radius once at seed 42, then the radius chosen on validation over seeds."""

import argparse

import torch

from benchmarks.methods.rows import DATASETS, PAPER_SEEDS, ROWS, SEEDS, Row
from sharpscope.training import save_checkpoint, train


def trained(row: Row, dataset: str, seed: int, rho: float | None) -> dict[str, float]:
    """Return the validation metrics of a run, which is trained where its checkpoint is missing."""
    path = row.path(dataset, seed, rho)
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        found = train(row.recipe(dataset, seed, rho), out=path, keep_every=1)
        save_checkpoint(path, found)
        print(dataset, row.name, rho, seed, f"{found.seconds:.0f} s", flush=True)
    return torch.load(path, weights_only=True)["metrics"]["val"]["fusion"]


def chosen(row: Row, dataset: str) -> float | None:
    """Return the radius with the best accuracy on validation at seed 42; ties by its loss."""
    if not row.radii:
        return None

    def score(rho: float) -> tuple[float, float]:
        val = trained(row, dataset, PAPER_SEEDS[0], rho)
        return val["accuracy"], -val["loss"]

    return max(row.radii, key=score)


def main() -> None:
    """Train what is missing of one data set."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dataset", choices=list(DATASETS))
    dataset = parser.parse_args().dataset
    torch.set_num_threads(1)
    radii = {row.name: chosen(row, dataset) for row in ROWS}
    for seed in SEEDS:
        for row in ROWS:
            trained(row, dataset, seed, radii[row.name])


if __name__ == "__main__":
    main()
