"""An empty sheet to fill in."""

from __future__ import annotations

from dataclasses import fields

from neurolrnn_hardware.chip import PLACEMENTS, SECTIONS
from neurolrnn_hardware.sheet_fields import GRADES, Spec

_EXAMPLES = {
    "count": "8", "integer": "1", "number": "1.0", "interval": "[1.0, 2.0]", "flag": "true", "integers": "[4, 8]",
}  # fmt: skip


def template() -> str:
    """Return the text of a sheet with every field as a comment: what it means, and how it is written."""
    lines = [
        "# The sheet of a chip. Take the # off a line and put in what you know; what stays out is not known.",
        '# extends = "loihi2" takes over another sheet, of which you then change single figures.',
        "#",
        "# Grades:",
        *(f"#   {grade}: {meaning}" for grade, meaning in GRADES.items()),
        "",
        'name = "My chip"',
        f"# One of {', '.join(PLACEMENTS)}:",
        'placement = "cores"',
        "not_modelled = []",
        "",
        "# Every figure names one of these and a place in it. Your own design is a source too.",
        "[sources]",
        'OWN = "my chip, specification of 2026"',
    ]
    for section, kind in SECTIONS.items():
        lines += ["", f"# {' '.join((kind.__doc__ or '').split()).split('. ')[0].rstrip('.')}.", f"[{section}]"]
        for f in fields(kind):
            spec: Spec = f.metadata["spec"]
            unit = f', unit = "{spec.unit}"' if spec.unit else ""
            lines.append(f"# {spec.meaning}; {spec.wanted()}")
            lines.append(f'#{f.name} = {{ value = {_example(spec)}{unit}, grade = "A", source = "OWN page" }}')
    return "\n".join([*lines, ""])


def _example(spec: Spec) -> str:
    if spec.kind == "choice":
        return f'"{spec.allowed[0]}"'
    if spec.kind == "choices":
        return f'["{spec.allowed[0]}"]'
    return _EXAMPLES[spec.kind]
