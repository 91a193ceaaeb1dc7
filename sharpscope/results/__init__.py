"""What was measured, as frozen records: value, uncertainty, outcome, cost, provenance.

Nothing here imports torch: a result can be read, compared and drawn on a machine without it.
"""

from sharpscope.results.base import Record as Record
from sharpscope.results.comparison import Comparison as Comparison
from sharpscope.results.contribution import ContributionResult as ContributionResult
from sharpscope.results.coupling import CouplingResult as CouplingResult
from sharpscope.results.density import DensityResult as DensityResult
from sharpscope.results.eigen import EigenResult as EigenResult
from sharpscope.results.files import check_writable as check_writable
from sharpscope.results.files import write_whole as write_whole
from sharpscope.results.gap import GapResult as GapResult
from sharpscope.results.landscape import LandscapeResult as LandscapeResult
from sharpscope.results.monitor import MonitorRecord as MonitorRecord
from sharpscope.results.outcome import Outcome as Outcome
from sharpscope.results.record import Result as Result
from sharpscope.results.run import RunRecord as RunRecord
from sharpscope.results.sharpness import SharpnessResult as SharpnessResult
from sharpscope.results.store import load as load
from sharpscope.results.store import save_all as save_all
from sharpscope.results.trace import TraceResult as TraceResult

__all__ = [
    "Comparison",
    "ContributionResult",
    "CouplingResult",
    "DensityResult",
    "EigenResult",
    "GapResult",
    "LandscapeResult",
    "MonitorRecord",
    "Outcome",
    "Record",
    "Result",
    "RunRecord",
    "SharpnessResult",
    "TraceResult",
    "check_writable",
    "load",
    "save_all",
    "write_whole",
]
