"""What each batch adds is kept, so that two models can be paired batch by batch afterwards."""

import numpy as np
import pytest
import torch

import sharpscope as ss
from sharpscope.results import TraceResult
from tests import problems


def subject(name: str = "layer_norm") -> ss.Subject:
    return problems.subject_of(problems.build(name))


@pytest.mark.parametrize("method", ["hutchinson", "hutch++", "xtrace"])
def test_parts_of_a_trace_add_up_to_what_each_half_of_the_probes_finds(method: str):
    found = ss.trace(subject(), "cxr", method=method, probes=7)
    parts, terms = np.array(found.batch_parts), np.array(found.terms)
    assert parts.shape == (len(problems.SIZES), 2)
    assert found.batch_shares == pytest.approx(np.array(problems.SIZES) / sum(problems.SIZES))
    if method != "xtrace":  # whose terms are no sums over batches
        halves = [terms[half::2].mean() + found.exact_part for half in (0, 1)]
        assert parts.sum(0) == pytest.approx(halves)
    assert parts[:, 0].sum() != parts[:, 1].sum()


def test_parts_of_an_exact_trace_are_those_of_the_batches():
    whole = subject()
    found = ss.trace(whole, "cxr", budget=1000, rtol=1e-9, rank=1000)
    assert found.standard_error == 0
    parts = np.array(found.batch_parts)
    assert parts[:, 0] == pytest.approx(parts[:, 1])
    assert parts[:, 0].sum() == pytest.approx(found.value)
    first = problems.subject_of(problems.build("layer_norm"), data=problems.batches()[:1])
    alone = ss.trace(first, "cxr", budget=1000, rtol=1e-9, rank=1000)
    assert parts[0, 0] == pytest.approx(found.batch_shares[0] * (alone.value or 0))
    residuals = parts[:, 0] - np.array(found.batch_shares) * (found.value or 0)
    batches = len(residuals)
    error = (batches / (batches - 1) * (residuals**2).sum()) ** 0.5
    assert found.data_error == pytest.approx(error)


def test_a_sweep_keeps_the_parts_of_each_encoder():
    found = ss.traces(subject(), way="sweep", probes=8)
    for part in found.values():
        parts, terms = np.array(part.batch_parts), np.array(part.terms)
        halves = [terms[half::2].mean() + part.exact_part for half in (0, 1)]
        assert parts.sum(0) == pytest.approx(halves)


def test_parts_of_eigenvalues_add_up_to_them():
    found = ss.eigenvalues(subject(), "cxr", k=2)
    parts, shares = np.array(found.batch_parts), np.array(found.batch_shares)
    assert parts.shape == (len(problems.SIZES), 4)
    assert parts.sum(0) == pytest.approx(found.eigenvalues)
    residuals = parts - shares[:, None] * parts.sum(0)
    batches = len(shares)
    errors = (batches / (batches - 1) * (residuals**2).sum(0)) ** 0.5
    assert errors == pytest.approx(found.data_errors)


def test_a_result_names_the_architecture_that_its_probes_fit():
    def fingerprint(found: TraceResult) -> str:
        return found.provenance["model_fingerprint"]

    one = ss.trace(subject(), "cxr", probes=2)
    torn = problems.build("layer_norm")
    with torch.no_grad():
        for parameter in torn.parameters():
            parameter.mul_(1.5)
    other = ss.trace(problems.subject_of(torn), "ehr", probes=2)
    assert fingerprint(one) == fingerprint(other)
    third = ss.trace(subject("group_norm"), "cxr", probes=2)
    assert fingerprint(one) != fingerprint(third)
