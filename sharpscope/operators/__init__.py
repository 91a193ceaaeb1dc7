"""Stage 2: symmetric, matrix-free operators on the parameters of one Selection."""

from sharpscope.operators.base import Products as Products
from sharpscope.operators.base import Report as Report
from sharpscope.operators.base import SymmetricOperator as SymmetricOperator
from sharpscope.operators.dense import DenseOperator as DenseOperator
from sharpscope.operators.difference import FiniteDifferenceHessian as FiniteDifferenceHessian
from sharpscope.operators.gaussnewton import GaussNewtonOperator as GaussNewtonOperator
from sharpscope.operators.hessian import HessianOperator as HessianOperator

# By the names of the command line's --operator.
OPERATORS = {
    "hessian": HessianOperator,
    "ggn": GaussNewtonOperator,
    "fd": FiniteDifferenceHessian,
}

__all__ = [
    "OPERATORS",
    "DenseOperator",
    "FiniteDifferenceHessian",
    "GaussNewtonOperator",
    "HessianOperator",
    "Products",
    "Report",
    "SymmetricOperator",
]
