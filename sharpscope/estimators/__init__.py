"""Stage 3: numbers from an operator. An estimator is its settings; calling it does the work."""

from sharpscope.estimators.cost import Progress as Progress
from sharpscope.estimators.coupling import Coupling as Coupling
from sharpscope.estimators.density import SpectralDensity as SpectralDensity
from sharpscope.estimators.hutchinson import Hutchinson as Hutchinson
from sharpscope.estimators.hutchplusplus import HutchPlusPlus as HutchPlusPlus
from sharpscope.estimators.krylov import Krylov as Krylov
from sharpscope.estimators.lanczos import TopEigenvalues as TopEigenvalues
from sharpscope.estimators.sweep import Sweep as Sweep
from sharpscope.estimators.xtrace import XTrace as XTrace

__all__ = [
    "Coupling",
    "HutchPlusPlus",
    "Hutchinson",
    "Krylov",
    "Progress",
    "SpectralDensity",
    "Sweep",
    "TopEigenvalues",
    "XTrace",
]
