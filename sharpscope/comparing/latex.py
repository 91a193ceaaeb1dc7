"""A comparison as a LaTeX table with booktabs."""

import re
from collections.abc import Iterable
from unicodedata import name, normalize

from sharpscope.comparing.rows import ABSENT, blocks, heads
from sharpscope.errors import MisuseError
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
    "µ": r"$\mu$",
    "∞": r"$\infty$",
    "½": r"$\frac{1}{2}$",
    "°": r"$^\circ$",
    "→": r"$\to$",
    "≤": r"$\leq$",
    "≥": r"$\geq$",
    "≈": r"$\approx$",
    "—": "---",
    "‘": "`",
    "’": "'",
    "“": "``",
    "”": "''",
    "…": r"\dots{}",
    "ß": r"\ss{}",
    "ø": r"\o{}",
    "ε": r"$\varepsilon$",
    "ϵ": r"$\epsilon$",
    "ϕ": r"$\phi$",
    "φ": r"$\varphi$",
    "ς": r"$\varsigma$",
    "ο": "$o$",
}
# Accents that stand behind their letter in Unicode, and before it in LaTeX.
_ACCENTS = {
    "\u0300": "`",
    "\u0301": "'",
    "\u0302": "^",
    "\u0303": "~",
    "\u0304": "=",
    "\u0306": "u",
    "\u0307": ".",
    "\u0308": '"',
    "\u030a": "r",
    "\u030b": "H",
    "\u030c": "v",
    "\u0327": "c",
    "\u0328": "k",
}
_GREEK = re.compile("GREEK (SMALL|CAPITAL) LETTER ([A-Z]+)")
# Capitals that LaTeX has as Latin letters.
_LATIN = dict(zip("ΑΒΕΖΗΙΚΜΝΟΡΤΧ", "ABEZHIKMNOPTX", strict=True))
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
        for modality, who, *cells in block.rows:
            if before is not None and modality != before:
                lines.append("\\addlinespace")
            shown = "" if modality == before else escaped(modality)
            lines.append(_row([shown, escaped(who), *map(_cell, cells)]))
            before = modality
    return "\n".join([*lines, "\\bottomrule", "\\end{tabular}"]) + "\n"


def escaped(text: str) -> str:
    r"""Return a text as LaTeX prints it, in ASCII.

    Raises:
        MisuseError: If a letter has no such form.

    Example:
        >>> print(escaped("late_s1 & 50 %"))
        late\_s1 \& 50 \%
    """
    named = text.split("λ_max")
    return r"$\lambda_{\max}$".join("".join(map(_letter, normalize("NFC", part))) for part in named)


def _letter(letter: str) -> str:
    if letter in _ESCAPES:
        return _ESCAPES[letter]
    if letter.isascii():
        return letter
    if letter in _LATIN:
        return f"${_LATIN[letter]}$"
    if greek := _GREEK.fullmatch(name(letter, "")):
        word = {"LAMDA": "lambda"}.get(greek[2], greek[2].lower())
        return rf"$\{word.capitalize() if greek[1] == 'CAPITAL' else word}$"
    base, *accents = normalize("NFD", letter)
    if base.isascii() and len(accents) == 1 and accents[0] in _ACCENTS:
        return rf"\{_ACCENTS[accents[0]]}{{{base}}}"
    raise MisuseError(
        f"a LaTeX table has no form for {letter!r} (U+{ord(letter):04X}): give the checkpoint or "
        "group a name in Latin or Greek letters, or write the table as .md"
    )


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
