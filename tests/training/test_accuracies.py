"""The accuracies that the data allow are reached by the default settings (slow)."""

from collections.abc import Callable
from statistics import mean

import pytest

from sharpscope.recipes import parse_recipe
from sharpscope.training import Trained, train

SEEDS = (0, 1, 2)

# Data set, modalities, accuracy in percent that a small model reaches, and how far below we may be:
# two standard deviations where they are known, else one point.
REACHED = [
    ("avdigits:clean", "image", 97.4, 1.0),
    ("avdigits:clean", "audio", 98.7, 1.0),
    ("avdigits:clean", "", 99.7, 1.0),
    ("avdigits:imbalanced", "", 99.4, 1.0),
    ("avdigits:hard", "image", 65.3, 2.0),
    ("avdigits:hard", "audio", 81.6, 1.8),
    ("avdigits:hard", "", 92.6, 1.6),
    ("avdigits:image-dominant", "audio", 46.1, 1.0),
    ("avdigits:image-dominant", "", 97.7, 1.0),
    ("emoji:image+en", "image", 65.9, 3.6),
    ("emoji:image+en", "en", 65.8, 3.2),
    ("emoji:image+en", "", 76.9, 2.2),
    ("emoji:image+en+de", "de", 51.3, 1.0),
    ("emoji:image+en+de", "", 78.8, 2.6),
    ("mfeat:pix+mor", "pix", 98.2, 1.0),
    ("mfeat:pix+mor", "mor", 76.1, 1.0),
    ("mfeat:pix+mor", "", 99.0, 1.0),
    ("mfeat:pix+fou+mor", "fou", 82.7, 1.0),
    ("mfeat:pix+fou+mor", "", 99.0, 1.0),
    ("mfeat:fou+zer+mor", "zer", 84.0, 1.0),
    ("mfeat:fou+zer+mor", "", 88.7, 1.0),
]


def runs(name: str, modalities: str) -> list[Trained]:
    """Train a recipe with its default settings, once per seed."""
    settings = {"modalities": modalities} if modalities else {}
    return [train(parse_recipe(name, seed=seed, settings=settings)) for seed in SEEDS]


def percent(trained: list[Trained], metric: str) -> float:
    """Return the mean of a fused test metric over the runs."""
    return 100 * mean(run.metrics["test"]["fusion"][metric] for run in trained)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "modalities", "accuracy", "below"), REACHED)
def test_accuracy(
    name: str,
    modalities: str,
    accuracy: float,
    below: float,
    record_property: Callable[[str, object], None],
):
    reached = percent(runs(name, modalities), "accuracy")
    record_property("accuracy", reached)  # shown by --junitxml=F -o junit_family=xunit1
    assert reached >= accuracy - below


@pytest.mark.slow
def test_the_image_is_read_out_worse_inside_an_imbalanced_joint_model(
    record_property: Callable[[str, object], None],
):
    alone = percent(runs("avdigits:imbalanced", "image"), "accuracy")
    joint = 100 * mean(
        run.metrics["test"]["image"]["accuracy"] for run in runs("avdigits:imbalanced", "")
    )
    record_property("alone, joint", (alone, joint))
    assert joint < alone


@pytest.mark.slow
def test_ehr_and_cxr_are_better_together_and_ehr_is_the_stronger(
    record_property: Callable[[str, object], None],
):
    joint, ehr, cxr = (
        percent(runs("ehr-cxr", modalities), "macro_auprc") for modalities in ("", "ehr", "cxr")
    )
    record_property("joint, ehr, cxr", (joint, ehr, cxr))
    assert joint > ehr + 5
    assert ehr > cxr + 5
    assert cxr > 30  # chance is the mean prevalence, 20
