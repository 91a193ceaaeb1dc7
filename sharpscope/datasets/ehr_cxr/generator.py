"""The data set ``ehr-cxr``: factors, then labels and both modalities from them."""

import numpy as np

from sharpscope.datasets.assembly import assembled
from sharpscope.datasets.dataset import Dataset, Kind, SplitName
from sharpscope.datasets.ehr_cxr.factors import Array, draw_factors
from sharpscope.datasets.ehr_cxr.phenotypes import PHENOTYPES, draw_labels
from sharpscope.datasets.ehr_cxr.radiographs import cxr_images
from sharpscope.datasets.ehr_cxr.vitals import ehr_series
from sharpscope.datasets.partition import Rows, permuted

PATIENTS = {"default": 2000, "small": 400}


def build_ehr_cxr(preset: str, modalities: tuple[str, ...], seed: int) -> Dataset:
    """Return synthetic ehr (24, 48) and cxr (1, 64, 64) with 25 labels, split 7:1:2.

    Each label depends on factors that both modalities show, that only ``ehr`` shows or that only
    ``cxr`` shows; ``ehr`` shows more of them and is the stronger modality by construction.
    """
    patients = PATIENTS[preset]
    rows = permuted(np.arange(patients), seed=seed, name=("ehr-cxr", "split"))
    cuts = np.split(rows, [7 * patients // 10, 8 * patients // 10])
    names: tuple[SplitName, ...] = ("train", "val", "test")
    partition: dict[SplitName, Rows] = dict(zip(names, cuts, strict=True))
    factors = draw_factors(patients, seed=seed)
    streams: dict[str, tuple[Kind, Array]] = {}
    if "ehr" in modalities:
        streams["ehr"] = ("series", ehr_series(factors, train=partition["train"], seed=seed))
    if "cxr" in modalities:
        streams["cxr"] = ("image", cxr_images(factors, train=partition["train"], seed=seed))
    return assembled(
        "ehr-cxr",
        preset,
        streams=streams,
        target=draw_labels(factors, seed=seed),
        classes=tuple(phenotype.name for phenotype in PHENOTYPES),
        partition=partition,
        synthetic=True,
    )
