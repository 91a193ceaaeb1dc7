"""What the captions of a monitored run say."""

import pytest

from sharpscope.figures import caption_of, draw_watch
from tests.figures.test_monitored import changed, legend
from tests.results.makers import a_monitor


@pytest.mark.parametrize(
    ("when", "words"),
    [
        ("EverySteps(steps=1)", "every step"),
        ("steps:20", "every 20 steps"),
        ("EveryEpochs(epochs=2)", "every 2 epochs"),
        ("LogSpaced(factor=2.0)", "at steps a factor of 2 apart"),
        ("log:1.5", "at steps a factor of 1.5 apart"),
        ("auto", "when = auto"),
        ("<mine>", "when = <mine>"),
    ],
)
def test_schedules_in_words(when: str, words: str):
    told = caption_of([a_monitor(settings={"when": when})], "watch")
    assert f"4 measurements {words} in float32" in told


def test_why_there_is_no_threshold():
    record = a_monitor(settings={"absent": {"threshold of ehr": "Adam has none", "coupling": "x"}})
    for place in range(4):
        for name in record.modalities:
            record = changed(record, place, name, threshold=None)
    assert "No stability threshold: Adam has none." in caption_of([record], "watch")
    assert "stability threshold" not in legend(draw_watch([record]))


def test_precision_is_told_as_it_was_recorded():
    made = {"dtype": "float32", "device": "cuda", "autocast": "bfloat16"}
    told = caption_of([a_monitor(provenance=made)], "watch")
    assert "in float32 on cuda, under autocast to bfloat16, relative error" in told
    asked = {"samples": 64, "when": "Budgeted(share=0.05)"}
    told = caption_of([a_monitor(provenance={"split": "train"}, settings=asked)], "watch")
    assert (
        ". 4 measurements as often as 0.05 of the training time pays for on the same 64 training "
        "samples each time. " in told
    )
    bare = a_monitor(provenance={}, settings={}, events=())
    assert ". 4 measurements. " in caption_of([bare], "watch")


def test_what_a_reader_must_know_of_measurements_is_told_once():
    first, *rest = a_monitor().measurements
    noted = [{**one, "notes": ["alignment of cxr was left out"]} for one in rest]
    told = caption_of([a_monitor(measurements=(first, *noted))], "watch")
    assert told.count("Alignment of cxr was left out.") == 1
