"""The probe against scikit-learn used directly."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from sharpscope.contribution.probe import STRENGTHS, probe

Sets = tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray], np.ndarray]


def sets(labels: bool) -> Sets:
    draw = np.random.default_rng(0)

    def one(items: int) -> tuple[np.ndarray, np.ndarray]:
        y = draw.integers(0, 3, items)
        x = draw.normal(size=(items, 5)) * 3 + 7
        x[:, 0] += y
        x[:, 4] = 2.0  # says nothing, and has no deviation to divide by
        return x, np.stack([y == 0, y == 2], 1).astype(float) if labels else y

    return one(60), one(40), one(30)[0]


@pytest.mark.parametrize("labels", [False, True])
def test_it_is_a_logistic_regression_chosen_by_the_loss_on_validation(labels: bool):
    (x, y), (v, w), t = sets(labels)
    found = probe((x, y), (v, w), t)
    scaler = StandardScaler().fit(x)
    losses: dict[float, float] = {}
    for strength in STRENGTHS:
        if labels:
            total = 0.0
            for column in range(2):
                model = LogisticRegression(C=strength, tol=1e-6, max_iter=2000)
                model.fit(scaler.transform(x), y[:, column])
                p = model.predict_proba(scaler.transform(v))
                total -= np.log(p[np.arange(40), w[:, column].astype(int)]).mean() / 2
            losses[strength] = total
        else:
            model = LogisticRegression(C=strength, tol=1e-6, max_iter=2000)
            p = model.fit(scaler.transform(x), y).predict_proba(scaler.transform(v))
            losses[strength] = float(-np.log(p[np.arange(40), w]).mean())
    best = min(losses, key=lambda strength: losses[strength])
    assert found.strength == best
    assert found.converged
    assert found.edge == ""
    model = LogisticRegression(C=best, tol=1e-6, max_iter=2000)
    if labels:
        model.fit(scaler.transform(x), y[:, 1])
        wanted = model.decision_function(scaler.transform(t))
        np.testing.assert_allclose(found.logits[:, 1], wanted, rtol=1e-3, atol=1e-4)
    else:
        model.fit(scaler.transform(x), y)
        wanted = model.predict_log_proba(scaler.transform(t))
        np.testing.assert_allclose(found.logits, wanted, rtol=1e-3, atol=1e-4)


def test_classes_that_train_has_not_are_never_told():
    (x, y), (v, w), t = sets(False)
    kept = y != 1
    found = probe((x[kept], y[kept]), (v, w), t)
    assert np.isneginf(found.logits[:, 1]).all()
    assert set(found.logits.argmax(1)) <= {0, 2}
    only = probe((x[y == 2], y[y == 2]), (v, w), t)
    assert set(only.logits.argmax(1)) == {2}


def test_labels_of_one_kind_are_what_they_always_are():
    (x, y), (v, w), t = sets(True)
    y[:, 0] = 0.0
    found = probe((x, y), (v, w), t)
    assert (found.logits[:, 0] < -100).all()
    assert np.isfinite(found.logits).all()


def test_a_penalty_at_the_end_of_the_grid_is_told():
    (x, y), val, t = sets(False)
    assert probe((x, y), val, t, strengths=(1e-9, 0.1, 1.0)).edge == ""
    assert probe((x, y), val, t, strengths=(1e-9, 1e-8)).edge == "weakest"
    assert probe((x, y), val, t, strengths=(0.1, 1e9)).edge == "strongest"
