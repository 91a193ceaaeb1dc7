"""Results against each other: differences with paired errors, tables; no torch, no model."""

from sharpscope.comparing.against import MATCHES as MATCHES
from sharpscope.comparing.against import compare as compare
from sharpscope.comparing.compatible import check_same_planes as check_same_planes
from sharpscope.comparing.tables import TABLES as TABLES
from sharpscope.comparing.tables import check_table as check_table
from sharpscope.comparing.tables import write_table as write_table

__all__ = ["MATCHES", "TABLES", "check_same_planes", "check_table", "compare", "write_table"]
