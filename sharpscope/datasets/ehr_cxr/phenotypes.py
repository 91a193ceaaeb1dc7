"""The 25 labels: how frequent each is, and which factors make it likely.

Names and prevalences are those of Table 4 of the MASAM paper; the loadings are ours, chosen so
that conditions occur together as a clinician would expect (sepsis with shock and renal failure).
"""

from typing import NamedTuple

import numpy as np
from scipy.special import ndtri

from sharpscope.datasets.ehr_cxr.factors import Array, Factors, normal

EXPLAINED = 0.9  # share of a label's variance that the factors carry; the rest is chance


class Phenotype(NamedTuple):
    """A label.

    Args:
        name: As in the paper's table.
        prevalence: Share of positive patients.
        loadings: Weight of each factor, up to a common scale.
    """

    name: str
    prevalence: float
    loadings: dict[str, float]


PHENOTYPES = (
    Phenotype("Fluid and electrolyte disorders", 0.4926, {"severity": 6, "metabolic": 7}),
    Phenotype("Essential hypertension", 0.4501, {"pressure": 8, "perfusion": -3}),
    Phenotype(
        "Disorders of lipid metabolism", 0.3808, {"calcification": 6, "pressure": 5, "metabolic": 4}
    ),
    Phenotype("Cardiac dysrhythmias", 0.3749, {"rhythm": 8, "congestion": 3}),
    Phenotype(
        "Acute and unspecified renal failure",
        0.3537,
        {"perfusion": 6, "severity": 5, "metabolic": 4},
    ),
    Phenotype("Respiratory failure", 0.3148, {"severity": 6, "infection": 5, "neurologic": 4}),
    Phenotype("Congestive heart failure", 0.2738, {"congestion": 8, "effusion": 3, "rhythm": 3}),
    Phenotype("Coronary atherosclerosis", 0.2538, {"calcification": 7, "pressure": 4, "rhythm": 3}),
    Phenotype("Septicemia", 0.2433, {"infection": 6, "perfusion": 6, "severity": 3}),
    Phenotype(
        "Complications of surgical procedures",
        0.2188,
        {"effusion": 6, "perfusion": 4, "infection": 3},
    ),
    Phenotype("Shock", 0.2105, {"perfusion": 8, "severity": 4}),
    Phenotype("Pneumonia", 0.2070, {"infection": 9, "severity": 2}),
    Phenotype("Chronic kidney disease", 0.1983, {"metabolic": 5, "pressure": 5, "congestion": 3}),
    Phenotype(
        "Diabetes mellitus without complication", 0.1966, {"metabolic": 8, "calcification": 2}
    ),
    Phenotype(
        "Hypertension with complications",
        0.1838,
        {"pressure": 7, "congestion": 4, "metabolic": 3},
    ),
    Phenotype("Other liver diseases", 0.1732, {"effusion": 5, "metabolic": 4, "perfusion": 4}),
    Phenotype("COPD and bronchiectasis", 0.1520, {"hyperinflation": 9, "severity": 2}),
    Phenotype(
        "Other lower respiratory disease",
        0.1286,
        {"hyperinflation": 6, "infection": 4, "effusion": 3},
    ),
    Phenotype("Pleurisy; pneumothorax", 0.1060, {"effusion": 9, "infection": 2}),
    Phenotype("Diabetes mellitus with complications", 0.1042, {"metabolic": 8, "calcification": 3}),
    Phenotype("Conduction disorders", 0.1014, {"rhythm": 8, "calcification": 3}),
    Phenotype("Acute cerebrovascular disease", 0.1000, {"neurologic": 9, "pressure": 3}),
    Phenotype(
        "Acute myocardial infarction", 0.0910, {"calcification": 5, "rhythm": 4, "perfusion": 4}
    ),
    Phenotype("Gastrointestinal hemorrhage", 0.0760, {"perfusion": 8, "metabolic": 3}),
    Phenotype("Other upper respiratory disease", 0.0526, {"hyperinflation": 6, "neurologic": 4}),
)


def draw_labels(factors: Factors, *, seed: int) -> Array:
    """Return zeros and ones, (patients, 25), with the prevalences of the table in expectation.

    Each label is a standard normal score, most of it from the factors, above the quantile that
    its prevalence asks for.
    """
    patients = len(next(iter(factors.values())))
    chance = normal((patients, len(PHENOTYPES)), seed=seed, name="label chance")
    columns: list[Array] = []
    for index, phenotype in enumerate(PHENOTYPES):
        weights = np.array(list(phenotype.loadings.values()), np.float32)
        weights *= np.sqrt(EXPLAINED / np.sum(weights**2))
        known = sum(
            weight * factors[name] for name, weight in zip(phenotype.loadings, weights, strict=True)
        )
        score = known + np.sqrt(1 - EXPLAINED) * chance[:, index]
        columns.append((score > ndtri(1 - phenotype.prevalence)).astype(np.float32))
    return np.stack(columns, axis=1)
