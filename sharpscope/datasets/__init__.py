"""Embedded and generated multimodal data: no network, no files to fetch.

Real data are small: written and spoken digits, emoji with keywords, six views of digits. The recipe
``ehr-cxr`` is synthetic. Origins and licenses stand in ``data/NOTICE``.
"""

from sharpscope.datasets.dataset import Batch as Batch
from sharpscope.datasets.dataset import Dataset as Dataset
from sharpscope.datasets.dataset import Kind as Kind
from sharpscope.datasets.dataset import Modality as Modality
from sharpscope.datasets.dataset import Split as Split
from sharpscope.datasets.dataset import SplitName as SplitName
from sharpscope.datasets.registry import DATASETS as DATASETS
from sharpscope.datasets.registry import DatasetEntry as DatasetEntry
from sharpscope.datasets.registry import dataset_entry as dataset_entry
from sharpscope.datasets.registry import load_dataset as load_dataset

__all__ = [
    "DATASETS",
    "Batch",
    "Dataset",
    "DatasetEntry",
    "Kind",
    "Modality",
    "Split",
    "SplitName",
    "dataset_entry",
    "load_dataset",
]
