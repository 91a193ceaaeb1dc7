"""PyHessian (Yao et al., 2020, arXiv 1912.07145) on one encoder, with our error bars around it."""

from sharpscope.engines.pyhessian.eigenvalue import PyHessianEigenvalue as PyHessianEigenvalue
from sharpscope.engines.pyhessian.operator import PyHessianOperator as PyHessianOperator
from sharpscope.engines.pyhessian.trace import PyHessianTrace as PyHessianTrace

__all__ = ["PyHessianEigenvalue", "PyHessianOperator", "PyHessianTrace"]
