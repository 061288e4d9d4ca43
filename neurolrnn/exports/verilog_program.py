"""The order in which the Verilog core multiplies: a list of sums of products, each with where it lands."""

from __future__ import annotations

from dataclasses import dataclass

from neurolrnn.exports.design import Design


@dataclass(frozen=True)
class Part:
    """Products of one sum that are of one kind: a matrix, or a constant, times a vector.

    Attributes
    ----------
    name : str
        Of the state of the core.
    variable : str
        Where the sum lands.
    out : str
        Memory of that variable; for an update the matrix.
    outer, inner : str
        How many sums there are (i), and how many products this part has in each (j).
    a : str or int
        Matrix, or constant, that is multiplied.
    b : str
        Vector that it is multiplied with.
    by_i : bool
        Whether the vector is read at i, not at j.
    lift : int
        Left shift of the products.
    lands : bool
        Whether the sum ends with this part.
    each : bool
        Whether every product lands by itself: an update.
    first : str
        Name of the first part of the sum.
    is_sum : bool
        Whether a declared accumulator bounds the sum.
    """

    name: str
    variable: str
    out: str
    outer: str
    inner: str
    a: str | int
    b: str
    by_i: bool
    lift: int
    lands: bool
    each: bool
    first: str
    is_sum: bool


def program(design: Design) -> list[Part]:
    """Return all parts in the order of a step; the first clears what a sequence does not bring along."""
    c = design.constants
    parts = [Part("CLEAR", "", "", "(N_IN > N_REC ? N_IN : N_REC)", "1", 0, "", False, 0, True, False, "CLEAR", False)]

    def land(name: str, out: str, outer: str, terms: list[tuple[str, str | int, str, str]]) -> None:
        """Add a sum; a term is (suffix, matrix or constant, vector, count), and a count of 1 reads at i."""
        lifts = design.spots[name].lifts
        titles = [f"{name.upper()}{'_' + suffix if suffix else ''}" for suffix, *_ in terms]
        for k, (_, a, b, count) in enumerate(terms):
            last = k == len(terms) - 1
            lift = lifts[k] if k < len(lifts) else 0
            parts.append(
                Part(titles[k], name, out, outer, count, a, b, count == "1", lift, last, False, titles[0], count != "1")
            )

    if design.learns:
        land("trace", "p", "N_REC", [("P", c["decay"], "p", "1"), ("", c["gain"], "h", "1")])
        land("input_trace", "q", "N_IN", [("Q", c["decay"], "q", "1"), ("", c["gain"], "x", "1")])
    terms: list[tuple[str, str | int, str, str]] = [
        ("W", "W", "h", "N_REC"),
        ("" if not design.factored else "B", "B", "x", "N_IN"),
    ]
    if design.factored:
        land("coupling", "z", "N_OUT", [("M", "M", "h", "N_REC"), ("", "N", "x", "N_IN")])
        terms.append(("", "R", "z", "N_OUT"))
    land("current", "u", "N_REC", terms)
    land("state", "h", "N_REC", [("H", c["keep"], "h", "1"), ("", c["gain"], "u", "1")])
    land("readout", "y", "N_OUT", [("", "A", "h", "N_REC")])
    if not design.learns:
        return parts
    if design.setting.loss == "cross-entropy":
        bits = design.spots["error"].format.frac_bits + 1
        for name, variable, out, count in (
            ("TOP", "", "", "1"),
            ("SHARE", "", "", "1"),
            ("ERROR", "error", "e", f"{bits}"),
        ):
            parts.append(Part(name, variable, out, "N_OUT", count, 0, "", True, 0, True, False, name, False))
    else:
        land("error", "e", "N_OUT", [("Y", 1, "y", "1"), ("", -1, "target", "1")])
    for group in design.learns:
        land(f"step_{group}", f"step_{group}", "N_OUT", [("", c[f"rate_{group}"], "e", "1")])
        matrix = design.learned(group)
        vector, size = {"A": ("h", "N_REC"), "M": ("p", "N_REC"), "N": ("q", "N_IN")}[matrix]
        name = f"LEARN_{group}"
        parts.append(
            Part(name, matrix, matrix, "N_OUT", size, f"step_{group}", vector, False, 0, True, True, name, False)
        )
    return parts
