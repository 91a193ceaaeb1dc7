"""Flatness while a model trains: a monitor, and adapters for loops and frameworks."""

from sharpscope.monitor.core import FlatnessMonitor as FlatnessMonitor
from sharpscope.monitor.live import LiveLine as LiveLine
from sharpscope.monitor.measuring import MEASURES as MEASURES
from sharpscope.monitor.of_recipes import beside as beside
from sharpscope.monitor.of_recipes import monitor_of as monitor_of
from sharpscope.monitor.schedule import Budgeted as Budgeted
from sharpscope.monitor.schedule import EveryEpochs as EveryEpochs
from sharpscope.monitor.schedule import EverySteps as EverySteps
from sharpscope.monitor.schedule import LogSpaced as LogSpaced
from sharpscope.monitor.schedule import Schedule as Schedule
from sharpscope.monitor.signals import Event as Event
from sharpscope.monitor.signals import Imbalance as Imbalance
from sharpscope.monitor.signals import Sharpening as Sharpening
from sharpscope.monitor.signals import Signal as Signal
from sharpscope.monitor.signals import Stability as Stability
from sharpscope.monitor.sinks import CSV as CSV
from sharpscope.monitor.sinks import Calling as Calling
from sharpscope.monitor.sinks import Sink as Sink
from sharpscope.monitor.sinks import TensorBoard as TensorBoard

__all__ = [
    "CSV",
    "MEASURES",
    "Budgeted",
    "Calling",
    "Event",
    "EveryEpochs",
    "EverySteps",
    "FlatnessMonitor",
    "Imbalance",
    "LiveLine",
    "LogSpaced",
    "Schedule",
    "Sharpening",
    "Signal",
    "Sink",
    "Stability",
    "TensorBoard",
    "beside",
    "monitor_of",
]
