"""Other people's engines behind our interfaces, to be chosen where a number must be theirs.

Importing this folder imports none of their libraries: an engine asks for its own when it is made.
"""

from sharpscope.engines.loss_landscapes import LossLandscapesPoints as LossLandscapesPoints
from sharpscope.engines.pyhessian import PyHessianEigenvalue as PyHessianEigenvalue
from sharpscope.engines.pyhessian import PyHessianOperator as PyHessianOperator
from sharpscope.engines.pyhessian import PyHessianTrace as PyHessianTrace

__all__ = ["LossLandscapesPoints", "PyHessianEigenvalue", "PyHessianOperator", "PyHessianTrace"]
