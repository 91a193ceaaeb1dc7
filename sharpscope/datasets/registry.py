"""The data sets by name: the only way from a name in a checkpoint to code."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from sharpscope.checks import at_least, listed, nearest, one_of
from sharpscope.datasets.avdigits import PRESETS as AVDIGITS_PRESETS
from sharpscope.datasets.avdigits import build_avdigits
from sharpscope.datasets.dataset import Dataset, Kind
from sharpscope.datasets.ehr_cxr import PATIENTS, build_ehr_cxr
from sharpscope.datasets.emoji import build_emoji
from sharpscope.datasets.mfeat import build_mfeat
from sharpscope.errors import MisuseError


@dataclass(frozen=True, kw_only=True)
class DatasetEntry:
    """A registered data set, described without reading it.

    Args:
        name: Registered name.
        description: One line for people.
        build: Called with preset, modalities in order, and seed.
        kinds: Kind of every modality there is, in order.
        default_preset: What the bare name means.
        presets: Every preset; empty where a preset is any ``+``-joined choice of modalities.
        synthetic: Whether items are generated and not observed.
        multilabel: Whether an item can have several labels.
    """

    name: str
    description: str
    build: Callable[[str, tuple[str, ...], int], Dataset]
    kinds: Mapping[str, Kind]
    default_preset: str
    presets: tuple[str, ...] = ()
    synthetic: bool = False
    multilabel: bool = False

    def preset(self, preset: str | None) -> str:
        """Return the preset by its one spelling: ``en+image`` becomes ``image+en``.

        Raises:
            MisuseError: If there is no such preset.
        """
        if preset is None:
            return self.default_preset
        if self.presets:
            return one_of(f"preset of {self.name}", preset, self.presets)
        return "+".join(self._chosen(preset.split("+"), among=tuple(self.kinds)))

    def modalities(self, preset: str, names: Sequence[str] | None = None) -> tuple[str, ...]:
        """Return the chosen modalities of a preset, in the data set's order; all by default.

        Raises:
            MisuseError: If one is unknown or named twice, or none is named.
        """
        present = tuple(self.kinds) if self.presets else tuple(preset.split("+"))
        return present if names is None else self._chosen(names, among=present)

    def _chosen(self, names: Sequence[str], *, among: tuple[str, ...]) -> tuple[str, ...]:
        allowed = listed(among)
        for name in names:
            if name not in among:
                raise MisuseError(
                    f"modality of {self.name} must be {allowed}; got {name!r}{nearest(name, among)}"
                )
        if not names or len(set(names)) < len(names):
            raise MisuseError(
                f"modalities of {self.name} must be one or more of {allowed}, each once; "
                f"got {'+'.join(names)!r}"
            )
        return tuple(name for name in among if name in names)


DATASETS: Mapping[str, DatasetEntry] = {
    entry.name: entry
    for entry in (
        DatasetEntry(
            name="avdigits",
            description="3,000 digits, written and spoken; 10 classes",
            build=build_avdigits,
            kinds={"image": "image", "audio": "series"},
            default_preset="hard",
            presets=tuple(AVDIGITS_PRESETS),
        ),
        DatasetEntry(
            name="emoji",
            description="1,849 emoji: picture, English and German keywords; 9 groups",
            build=build_emoji,
            kinds={"image": "image", "en": "vector", "de": "vector"},
            default_preset="image+en",
        ),
        DatasetEntry(
            name="mfeat",
            description="2,000 handwritten digits in up to six views; 10 classes",
            build=build_mfeat,
            kinds={
                "pix": "image",
                "fac": "vector",
                "fou": "vector",
                "kar": "vector",
                "zer": "vector",
                "mor": "vector",
            },
            default_preset="pix+fou+mor",
        ),
        DatasetEntry(
            name="ehr-cxr",
            description="SYNTHETIC intensive care: vital signs and chest images; 25 labels",
            build=build_ehr_cxr,
            kinds={"ehr": "series", "cxr": "image"},
            default_preset="default",
            presets=tuple(PATIENTS),
            synthetic=True,
            multilabel=True,
        ),
    )
}


def dataset_entry(name: str) -> DatasetEntry:
    """Return the registered data set of that name.

    Raises:
        MisuseError: If there is none, with the names there are.
    """
    return DATASETS[one_of("dataset", name, DATASETS)]


def load_dataset(
    name: str,
    preset: str | None = None,
    *,
    seed: int = 0,
    modalities: Sequence[str] | None = None,
) -> Dataset:
    """Load or generate a data set, scaled and split, in a fixed order.

    Scaling uses the training split alone. The validation split is a tenth of the training rows of
    each class; the test split does not depend on the seed (``ehr-cxr`` apart, where the seed
    generates everything).

    Args:
        name: ``avdigits``, ``emoji``, ``mfeat`` or ``ehr-cxr`` (synthetic).
        preset: Variant; see ``DATASETS``.
        seed: Draws the validation split, the order, added noise and synthetic data.
        modalities: Keep only these; all by default.

    Raises:
        MisuseError: If a name is unknown or the seed is not a whole number from 0.

    Example:
        >>> data = load_dataset("mfeat", "fou+mor")
        >>> data.modalities["mor"].shape, len(data.splits["test"])
        ((6,), 500)
    """
    entry = dataset_entry(name)
    chosen = entry.preset(preset)
    at_least("seed", seed, 0)
    return entry.build(chosen, entry.modalities(chosen, modalities), seed)
