"""The table cut into bands: what stands side by side, and under which head."""

from sharpscope.report.bands import PAPER, SCREEN, bands
from sharpscope.report.table import tabulate
from sharpscope.results import Result
from tests.report.pages import EVERY
from tests.results.makers import (
    a_coupling,
    a_gap,
    a_landscape,
    a_trace,
    an_eigen,
)


def test_groups_stand_side_by_side_while_there_is_room():
    table = tabulate([a_trace(), an_eigen()])
    (wide,) = bands(table, SCREEN)
    assert list(wide.groups) == ["Trace", "Eigenvalues"]
    assert wide.label == "table of numbers: trace, eigenvalues"
    trace, eigen = bands(table, 40)
    assert (list(trace.groups), list(eigen.groups)) == (["Trace"], ["Eigenvalues"])
    assert (trace.first, eigen.first) == (True, False)


def test_no_number_is_lost_or_told_twice():
    of = {"checkpoint_sha256": "abc"}
    table = tabulate([make(tag="late", provenance=of) for make in EVERY])
    for room in (SCREEN, PAPER, 1):
        columns = [column for band in bands(table, room) for column in band.columns]
        order = {column.key: place for place, column in enumerate(table.columns)}
        assert sorted(columns, key=lambda column: order[column.key]) == list(table.columns)
        for band in bands(table, room):
            keys = {column.key for column in band.columns}
            shown = [row for block in band.blocks for row in block.rows]
            assert shown == [row for row in table.rows["late"] if keys & set(row.cells)]


def test_numbers_of_other_data_stand_under_a_head_without_these():
    results: list[Result] = [a_trace(tag="a"), a_gap(tag="a", samples=7), a_coupling(tag="a")]
    same, other = bands(tabulate(results), 1000)
    assert (list(same.groups), list(other.groups)) == (["Trace", "Coupling"], ["Generalization"])
    assert [block.about for block in same.blocks] == ["fusion loss 0.5 over 12 items"]
    assert [block.about for block in other.blocks] == [""]


def test_rows_of_other_items_have_a_head_of_their_own():
    (band,) = bands(tabulate([a_trace(tag="a"), a_trace(tag="a", samples=99)]), SCREEN)
    assert [(block.checkpoint, block.about) for block in band.blocks] == [
        ("a", "fusion loss 0.5 over 12 items"),
        ("a", "fusion loss 0.5 over 99 items"),
    ]


def test_a_landscape_alone_has_its_row():
    (band,) = bands(tabulate([a_landscape(tag="a"), a_trace(tag="b")]), SCREEN)
    assert [block.checkpoint for block in band.blocks] == ["b", "a"]
    (alone,) = bands(tabulate([a_landscape(tag="a")]), SCREEN)
    assert (alone.columns, alone.label) == ((), "table of numbers: parameters")
