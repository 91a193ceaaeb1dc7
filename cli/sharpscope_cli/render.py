"""Results as text for people: aligned, legible without color, 80 columns where numbers allow."""

from collections.abc import Sequence

from sharpscope.results import EigenResult, Outcome, Result, TraceResult
from sharpscope.results.record import significant
from sharpscope.results.trace import with_error
from sharpscope_cli.output import Column, emit_facts, emit_lines, emit_table

PROBES = (
    "± is one standard error of the random probes: noise that more probes shrink, not what other "
    "data would change. That is the data error: the standard error over batches as a sample of "
    "the data. Unit: loss per squared parameter unit."
)
MISSING = "– for a data error means fewer than two batches, for an interval fewer than 10 probes."
RESIDUALS = (
    "An eigenvalue of H lies within residual × largest |λ| of the value, which is printed to the "
    "places that this leaves. "
)
DATA = "The data error, data ±, is its standard error over batches as a sample of the data. "
UNIT = "Unit: loss per squared parameter unit."
ABSENT = "–"
DONE = (Outcome.CONVERGED, Outcome.COMPLETED)


def show_traces(results: Sequence[TraceResult], *, quiet: bool = False) -> None:
    """Print traces with what their errors hold: one as a list of facts, several as a table."""
    if len(results) == 1:
        (result,) = results
        emit_facts(f"{matrix(results)} trace of {subject_of(result)}", _trace_facts(result))
    else:
        heading(f"{matrix(results)} trace", results)
        columns: list[Column] = [
            *names_of(results),
            ("trace ± error", "right"),
            ("95 % interval", "right"),
            ("data\nerror", "right"),
            ("per\nparameter", "right"),
            ("products", "right"),
            ("seconds", "right"),
            *outcome_column(results),
        ]
        emit_table(columns, [_trace_row(result, results) for result in results])
    absent = any(None in (result.interval, result.data_error) for result in results)
    explained = f"{PROBES} {MISSING}" if absent and len(results) > 1 else PROBES
    after(results, "" if quiet else explained, quiet=quiet)


def show_eigenvalues(results: Sequence[EigenResult], *, quiet: bool = False) -> None:
    """Print the ends of spectra with their residuals, and all eigenvalues where k is above 1."""
    if len(results) == 1:
        (result,) = results
        emit_facts(f"{matrix(results)} eigenvalues of {subject_of(result)}", _eigen_facts(result))
    else:
        heading(f"{matrix(results)} eigenvalues", results)
        columns: list[Column] = [
            *names_of(results),
            ("λ_max", "right"),
            ("λ_min", "right"),
            ("largest |λ|", "right"),
            ("largest\nresidual", "right"),
            ("products", "right"),
            ("seconds", "right"),
            *outcome_column(results),
        ]
        emit_table(columns, [_eigen_row(result, results) for result in results])
    for result in results:
        if len(result.eigenvalues) > 2:
            emit_lines()
            _all_eigenvalues(result, results)
    several = any(len(result.eigenvalues) > 2 for result in results)
    data = DATA if len(results) == 1 or several else ""  # the table of several has none
    after(results, "" if quiet else RESIDUALS + data + UNIT, quiet=quiet)


def matrix(results: Sequence[Result]) -> str:
    """Return what the matrix measured is called; results of one command share it."""
    names = {"gauss-newton": "Gauss-Newton", "finite-difference": "Finite-difference Hessian"}
    return names.get(results[0].settings.get("operator", ""), "Hessian")


def interval(result: TraceResult) -> str:
    """Return the 95 % interval, to the places of the error."""
    if result.interval is None:
        return ABSENT
    ends = [with_error(end, result.standard_error).split(" ±")[0] for end in result.interval]
    if any(end.startswith("(") for end in ends):
        ends = [significant(end) for end in result.interval]
    return " to ".join(ends)


def _trace_facts(result: TraceResult) -> list[tuple[str, str]]:
    scaled = {name: significant(value, 3) for name, value in result.normalized.items()}
    size = f"{result.parameters:,}"
    return [
        ("trace", with_error(result.value, result.standard_error)),
        ("95 % interval", _explained(interval(result), "needs 10 probes")),
        ("data error", _explained(_error(result.data_error), "one batch, or see the notes")),
        ("per parameter", f"{scaled.get('per_parameter', ABSENT)} ({size} parameters)"),
        ("trace / ‖∇L‖", scaled.get("per_gradient_norm", ABSENT)),
        ("trace · ‖θ‖²", scaled.get("times_squared_norm", ABSENT)),
        *common_facts(result),
    ]


def _trace_row(result: TraceResult, results: Sequence[Result]) -> list[str]:
    return [
        *name_cells(result, results),
        with_error(result.value, result.standard_error),
        interval(result),
        _error(result.data_error),
        significant(result.normalized.get("per_parameter"), 3),
        *cost_cells(result, results),
    ]


def _eigen_facts(result: EigenResult) -> list[tuple[str, str]]:
    ends = [
        ("λ_max", result.largest),
        ("λ_min", result.smallest),
        ("largest |λ|", result.largest_magnitude),
    ]
    return [
        *((name, _eigenvalue(result, value)) for name, value in ends),
        ("parameters", f"{result.parameters:,}"),
        *common_facts(result),
    ]


def _eigenvalue(result: EigenResult, value: float | None) -> str:
    if value is None:
        return ABSENT
    place = result.eigenvalues.index(value)
    errors = result.data_errors
    data = "" if errors is None else f", data ± {significant(errors[place], 2)}"
    return f"{result.shown(value)} (residual {result.residuals[place]:.1e}{data})"


def _eigen_row(result: EigenResult, results: Sequence[Result]) -> list[str]:
    ends = (result.largest, result.smallest, result.largest_magnitude)
    return [
        *name_cells(result, results),
        *(ABSENT if value is None else result.shown(value) for value in ends),
        f"{max(result.residuals):.1e}" if result.residuals else ABSENT,
        *cost_cells(result, results),
    ]


def _all_eigenvalues(result: EigenResult, results: Sequence[Result]) -> None:
    errors = result.data_errors or (None,) * len(result.eigenvalues)
    rows = [
        [result.shown(value), f"{residual:.1e}", _error(error)]
        for value, residual, error in zip(result.eigenvalues, result.residuals, errors, strict=True)
    ]
    header = "eigenvalue" if len(results) == 1 else f"eigenvalue of {_who(result, results)}"
    emit_table([(header, "right"), ("residual", "right"), ("data error", "right")], rows)


def subject_of(result: Result) -> str:
    """Return which encoder of which checkpoint a result is of."""
    return f"{result.modality} in {result.provenance.get('checkpoint', 'the model')}"


def _data(result: Result) -> str:
    split = result.provenance.get("split", "")
    return f"{result.samples:,} {split} samples".replace("  ", " ")


def heading(what: str, results: Sequence[Result]) -> None:
    """Print what a table of several results is of."""
    first = results[0]
    where = f" in {first.provenance.get('checkpoint')}" if len(_tags(results)) == 1 else ""
    emit_lines([f"{what} of the {first.loss} loss on {_data(first)}{where}", ""])


def common_facts(result: Result) -> list[tuple[str, str]]:
    """Return the facts that close every list."""
    return [
        ("loss", f"{result.loss}, {significant(result.loss_value)} on {_data(result)}"),
        ("cost", f"{result.matvecs:g} products in {result.seconds:.1f} s"),
        ("method", result.method),
        ("outcome", str(result.outcome).replace("_", " ")),
    ]


def _tags(results: Sequence[Result]) -> list[str | None]:
    return list(dict.fromkeys(result.tag for result in results))


def names_of(results: Sequence[Result]) -> list[Column]:
    """Return the columns that name a result."""
    names: list[Column] = [("modality", "left")]
    return [("checkpoint", "left"), *names] if len(_tags(results)) > 1 else names


def name_cells(result: Result, results: Sequence[Result]) -> list[str]:
    """Return the cells of these columns."""
    return [result.tag or "", result.modality] if len(_tags(results)) > 1 else [result.modality]


def outcome_column(results: Sequence[Result]) -> list[Column]:
    """Return a column for outcomes, where one is worth telling."""
    return [] if all(result.outcome in DONE for result in results) else [("outcome", "left")]


def cost_cells(result: Result, results: Sequence[Result]) -> list[str]:
    """Return the cells of products, seconds and outcome."""
    outcome = [str(result.outcome).replace("_", " ")] if outcome_column(results) else []
    return [f"{result.matvecs:g}", f"{result.seconds:.1f}", *outcome]


def _error(error: float | None) -> str:
    return ABSENT if error is None else significant(error, 2)


def _explained(text: str, why: str) -> str:
    return f"{text} ({why})" if text == ABSENT else text


def _who(result: Result, results: Sequence[Result]) -> str:
    return " · ".join(name_cells(result, results))


def after(results: Sequence[Result], explained: str, *, quiet: bool) -> None:
    """Print advice on what did not end well, then notes and what the errors mean."""
    lines: dict[str, list[str]] = {}
    for result in results:
        if result.outcome not in DONE:
            lines.setdefault(result.advice, []).append(_who(result, results))
        for note in () if quiet else result.notes:
            lines.setdefault(f"Note: {note}", []).append(_who(result, results))
    if not lines and not explained:
        return
    emit_lines()
    for line, names in lines.items():
        everyone = len(names) == len(results)
        emit_lines([line if everyone else f"{', '.join(names)}: {line}"])
    if explained:
        emit_lines([explained])
