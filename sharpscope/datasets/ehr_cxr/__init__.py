"""Synthetic intensive care: vital signs, chest images and 25 labels from common latent factors.

Nothing here was observed and no patient stands behind a row. The form (modalities, missing values,
labels and their prevalences) follows the MIMIC phenotyping task of the MASAM paper (Chen et al.,
ICLR 2026, Table 4), so that a multi-label subject exists that needs no access to medical records.
"""

from sharpscope.datasets.ehr_cxr.generator import PATIENTS as PATIENTS
from sharpscope.datasets.ehr_cxr.generator import build_ehr_cxr as build_ehr_cxr
from sharpscope.datasets.ehr_cxr.phenotypes import PHENOTYPES as PHENOTYPES

__all__ = ["PATIENTS", "PHENOTYPES", "build_ehr_cxr"]
