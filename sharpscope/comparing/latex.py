"""A comparison as a LaTeX table with booktabs."""

import re
from collections.abc import Iterable

from sharpscope.comparing.rows import ABSENT, blocks, heads
from sharpscope.results.comparison import Comparison

_ESCAPES = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "–": "--",
    "±": r"$\pm$",
    "²": r"$^2$",
    "‖": r"$\Vert$",
    "·": r"$\cdot$",
    "−": "$-$",
    "×": r"$\times$",
    "∇": r"$\nabla$",
    "λ": r"$\lambda$",
    "ε": r"$\varepsilon$",
    "ρ": r"$\rho$",
    "τ": r"$\tau$",
    "γ": r"$\gamma$",
    "σ": r"$\sigma$",
    "θ": r"$\theta$",
}
_NUMBER = r"[+-]?\d+(?:\.\d+)?(?:e[+-]?\d+)?"
_NUMBERS = re.compile(rf"\(?{_NUMBER}(?: ± {_NUMBER})?\)?(?:e[+-]?\d+)?(?: to {_NUMBER})?")


def latex(found: Comparison) -> str:
    """Return a ``tabular`` for a document that loads booktabs; notes stand in comments above."""
    columns = heads(found)
    aligned = "ll" + "r" * (len(columns) - 3) + "l"
    lines = [
        "% \\usepackage{booktabs}",
        *(f"% {' '.join(note.split())}" for note in found.notes),
        f"\\begin{{tabular}}{{{aligned}}}",
        "\\toprule",
        _row(map(escaped, columns)),
    ]
    for block in blocks(found):
        lines += [
            "\\midrule",
            f"\\multicolumn{{{len(columns)}}}{{l}}{{{escaped(block.title)}}} \\\\",
        ]
        before = None
        for modality, name, *cells in block.rows:
            if before is not None and modality != before:
                lines.append("\\addlinespace")
            shown = "" if modality == before else escaped(modality)
            lines.append(_row([shown, escaped(name), *map(_cell, cells)]))
            before = modality
    return "\n".join([*lines, "\\bottomrule", "\\end{tabular}"]) + "\n"


def escaped(text: str) -> str:
    r"""Return a text as LaTeX prints it.

    Example:
        >>> print(escaped("late_s1 & 50 %"))
        late\_s1 \& 50 \%
    """
    named = text.split("λ_max")
    return r"$\lambda_{\max}$".join("".join(_ESCAPES.get(c, c) for c in part) for part in named)


def _row(cells: Iterable[str]) -> str:
    return " & ".join(cells) + " \\\\"


def _cell(text: str) -> str:
    """Return a number in math mode, another text escaped."""
    if text in ("", ABSENT) or not _NUMBERS.fullmatch(text):
        return escaped(text)
    if " to " in text:
        return " to ".join(f"${_math(end)}$" for end in text.split(" to "))
    return f"${_math(text)}$"


def _math(text: str) -> str:
    r"""Return ``9.1e-05 ± 2`` as ``9.1 \times 10^{-5} \pm 2``."""
    powers = re.sub(r"e([+-]?)0*(\d+)", _power, text)
    return powers.replace("±", r"\pm")


def _power(found: re.Match[str]) -> str:
    sign = "-" if found[1] == "-" else ""
    return rf" \times 10^{{{sign}{found[2]}}}"
