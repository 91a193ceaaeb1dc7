"""The synthetic data set: prevalences, missing values, structure and what each modality shows."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from sharpscope.datasets import load_dataset
from sharpscope.datasets.ehr_cxr import PHENOTYPES
from sharpscope.datasets.ehr_cxr.factors import CXR_ONLY, EHR_ONLY, SHARED, draw_factors
from sharpscope.datasets.ehr_cxr.phenotypes import draw_labels
from sharpscope.datasets.ehr_cxr.radiographs import draw_radiographs
from sharpscope.datasets.ehr_cxr.vitals import SIGNS, draw_vitals


def test_prevalences_are_those_of_the_table_within_sampling_error():
    labels = draw_labels(draw_factors(20_000, seed=0), seed=0)
    wanted = np.array([phenotype.prevalence for phenotype in PHENOTYPES])
    error = np.sqrt(wanted * (1 - wanted) / len(labels))
    assert labels.shape == (20_000, 25)
    assert np.abs(labels.mean(0) - wanted).max() / error.max() < 4
    assert (np.abs(labels.mean(0) - wanted) / error).max() < 4
    assert wanted.max() == 0.4926
    assert wanted.min() == 0.0526


def test_conditions_occur_together_as_expected():
    labels = draw_labels(draw_factors(20_000, seed=0), seed=0)
    column = {phenotype.name: index for index, phenotype in enumerate(PHENOTYPES)}
    related: NDArray[np.float64] = np.corrcoef(labels.T)  # pyright: ignore[reportAssignmentType]
    assert related[column["Septicemia"], column["Shock"]] > 0.2
    unrelated = related[column["Acute cerebrovascular disease"], column["Pneumonia"]]
    assert abs(unrelated) < 0.05


def test_loadings_name_factors_that_exist():
    names = {*SHARED, *EHR_ONLY, *CXR_ONLY}
    used = {name for phenotype in PHENOTYPES for name in phenotype.loadings}
    assert used == names
    assert len(PHENOTYPES) == 25


@pytest.mark.parametrize("factor", [*SHARED, *EHR_ONLY, *CXR_ONLY])
def test_each_modality_shows_its_factors_and_no_others(factor: str):
    factors = draw_factors(300, seed=0)
    raised = factors | {factor: factors[factor] + 1}
    values, measured = draw_vitals(factors, seed=0)
    moved, remeasured = draw_vitals(raised, seed=0)
    in_ehr = not (np.array_equal(values, moved) and np.array_equal(measured, remeasured))
    in_cxr = not np.array_equal(draw_radiographs(factors, seed=0), draw_radiographs(raised, seed=0))
    assert in_ehr == (factor in SHARED + EHR_ONLY)
    assert in_cxr == (factor in SHARED + CXR_ONLY)


def test_vitals_stay_in_range_and_gaps_follow_their_rates():
    values, measured = draw_vitals(draw_factors(2000, seed=0), seed=0)
    assert set(np.unique(measured)) == {0.0, 1.0}
    for column, sign in enumerate(SIGNS):
        assert values[:, column].min() >= sign.low
        assert values[:, column].max() <= sign.high
        assert 1 - measured[:, column].mean() == pytest.approx(sign.missing, abs=0.02)


def test_gaps_hold_the_median_and_masks_mark_them():
    ehr = load_dataset("ehr-cxr", "small").splits["train"].inputs["ehr"]
    signs, masks = ehr[:, :12], ehr[:, 12:]
    for column in range(12):
        gaps = signs[:, column][masks[:, column] == 0]
        seen = signs[:, column][masks[:, column] == 1]
        assert gaps.unique().numel() == 1
        assert gaps[0].item() == pytest.approx(seen.median().item(), abs=0.05)
        assert seen.mean().abs() < 1e-4
        assert abs(seen.std(correction=0).item() - 1) < 1e-4


def test_images_are_smooth_pictures_not_noise():
    images = load_dataset("ehr-cxr", "small").splits["train"].inputs["cxr"][:, 0]
    single = images - images.mean(0)
    neighbors = (single[:, 1:] * single[:, :-1]).mean() / single.square().mean()
    assert neighbors > 0.3  # white noise has 0
    dark, bright = images[:, 30, 18].mean(), images[:, 30, 32].mean()
    assert bright - dark > 1  # a lung and the spine


def test_split_sizes_and_labels():
    dataset = load_dataset("ehr-cxr", "small")
    assert [len(split) for split in dataset.splits.values()] == [280, 40, 80]
    assert dataset.classes[0] == "Fluid and electrolyte disorders"
    targets = torch.cat([split.target for split in dataset.splits.values()])
    assert targets.shape == (400, 25)
    assert set(targets.unique().tolist()) == {0.0, 1.0}
