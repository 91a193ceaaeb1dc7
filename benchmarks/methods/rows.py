"""What is compared: the rows of the table, the radii tried for each, the seeds, and the files."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sharpscope.recipes import Recipe, parse_recipe

DATASETS = {"emoji": "emoji:image+en", "avdigits": "avdigits:hard"}
PAPER_SEEDS = (42, 123, 1234, 2024)
SEEDS = (*PAPER_SEEDS, 0, 1, 2, 3, 4, 5, 6, 7)

# MASAM's search space (methods.md 3.2) has seven radii; the sweep of SAM and M-SAM (2.4), with its
# largest value of 4.1 and one below its smallest, as many.
MASAM_RADII = (0.1, 0.3, 0.4, 0.5, 0.6, 0.7, 0.9)
SAM_RADII = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5)
KEPT = Path(__file__).parents[2] / ".benchmarks" / "methods"


@dataclass(frozen=True, kw_only=True)
class Row:
    """A method with its settings but for the radius.

    Args:
        name: As the table prints it.
        method: Registered name.
        settings: Those that differ from the method's defaults.
        radii: What is tried; empty for a method without a radius.
    """

    name: str
    method: str
    settings: Mapping[str, str] = field(default_factory=dict[str, str])
    radii: tuple[float, ...] = ()

    @property
    def stem(self) -> str:
        """The name as a folder."""
        return "".join(c if c.isalnum() else "-" for c in self.name).strip("-").lower()

    def recipe(self, dataset: str, seed: int, rho: float | None) -> Recipe:
        """Return what is trained."""
        settings = dict(self.settings) | ({} if rho is None else {"rho": str(rho)})
        return parse_recipe(DATASETS[dataset], method=self.method, settings=settings, seed=seed)

    def path(self, dataset: str, seed: int, rho: float | None) -> Path:
        """Return where the checkpoint is."""
        radius = "plain" if rho is None else f"rho{rho:g}"
        return KEPT / dataset / self.stem / radius / f"s{seed}.pt"


WITH_UNIMODAL = {"unimodal_weight": "1"}
ROWS = (
    Row(name="joint", method="joint"),
    Row(name="late", method="late"),
    Row(name="SAM", method="sam", radii=SAM_RADII),
    Row(name="SAM + unimodal", method="sam", settings=WITH_UNIMODAL, radii=SAM_RADII),
    Row(name="M-SAM share", method="msam", radii=SAM_RADII),
    Row(name="M-SAM share + unimodal", method="msam", settings=WITH_UNIMODAL, radii=SAM_RADII),
    Row(name="M-SAM present", method="msam", settings={"decompose": "present"}, radii=SAM_RADII),
    Row(name="MASAM", method="masam", radii=MASAM_RADII),
    Row(
        name="MASAM light, feature",
        method="masam",
        settings={"alignment": "feature"},
        radii=MASAM_RADII,
    ),
    Row(name="MASAM light, every 10", method="masam", settings={"every": "10"}, radii=MASAM_RADII),
)
