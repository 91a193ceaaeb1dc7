"""Stage 2: symmetric, matrix-free operators on the parameters of one Selection."""

from sharpscope.operators.base import Products as Products
from sharpscope.operators.base import Report as Report
from sharpscope.operators.base import SymmetricOperator as SymmetricOperator
from sharpscope.operators.dense import DenseOperator as DenseOperator
from sharpscope.operators.hessian import HessianOperator as HessianOperator

__all__ = ["DenseOperator", "HessianOperator", "Products", "Report", "SymmetricOperator"]
