"""Stage 6: results -> one HTML file."""

from sharpscope.report.gather import Gathered as Gathered
from sharpscope.report.gather import gather as gather
from sharpscope.report.writing import check_report as check_report
from sharpscope.report.writing import write_report as write_report

__all__ = ["Gathered", "check_report", "gather", "write_report"]
