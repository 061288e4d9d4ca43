"""Results as tables: every contender at every size, who is ahead, and how much of the machine is used."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

from benchmarks.clock import Spread, ratio, spread
from benchmarks.contenders import COUNTS, FAMILIES
from benchmarks.results import Results, Row
from benchmarks.work import Work
from neurolrnn.tables import markdown_table

TIE = 0.05
"""Closer than this, or with a spread over rounds that holds 1, is a tie."""
BUSY = 0.2
"""With wall time this much above processor time, something else was running."""
BEGIN, END = "<!-- benchmarks: begin -->", "<!-- benchmarks: end -->"


def number(value: float) -> str:
    """Three digits, without an exponent."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.{1 if value >= 10 else 2 if value >= 1 else 3}f}"


def cell(samples: Iterable[float]) -> str:
    """Median, and the quartiles where they are not the same digits."""
    s = spread(list(samples))
    median, low, high = map(number, s)
    return median if low == high else f"{median} ({low} to {high})"


def label(size: Any) -> str:
    """Say a size in a column's head."""
    text = f"n = {size['n']:,}".replace(",", " ")
    return text + (f", {size['n_out']} outputs" if size.get("n_out", 1) != 1 else "")


def _title(row: Row) -> str:
    return row.name if row.who in ("neurolrnn", "machine") else f"*{row.who}*: {row.name}"


def _wide(rows: list[Row], show: Callable[[Row], str], head: str) -> str:
    """One line a contender, one column a size."""
    sizes = {label(row.size): None for row in sorted(rows, key=lambda r: (r.size["n"], r.size.get("n_out", 1)))}
    lines = {(row.who, row.name): _title(row) for row in rows}
    cells = {(row.who, row.name, label(row.size)): show(row) for row in rows}
    body = [[title, *(cells.get((*key, size), "-") for size in sizes)] for key, title in lines.items()]
    return markdown_table(body, [head, *sizes], "l" + "r" * len(sizes))


def rules_tables(results: Results) -> str:
    """Microseconds a step, family after family."""
    parts = []
    for family, about in FAMILIES.items():
        rows = [row for row in results.ok("rules") if row.family == family]
        if rows:
            parts.append(f"### {about.title}\n\n" + _wide(rows, lambda row: cell(row.samples), "µs per step and lane"))
    return "\n\n".join(parts)


def _best(rows: list[Row]) -> Row | None:
    return min(rows, key=lambda row: spread(row.samples).median, default=None)


def verdict(advantage: Spread) -> str:
    """Say who is ahead: ``advantage`` is the peer's time over ours."""
    if abs(advantage.median - 1.0) < TIE or advantage.low <= 1.0 <= advantage.high:
        return "tie"
    return "neurolrnn" if advantage.median > 1.0 else "peer"


def duels(results: Results) -> list[tuple[str, str, Row, Row, Spread]]:
    """Family, size, our fastest float32 contender, the fastest peer, and its time over ours in the same rounds."""
    found = []
    for family in FAMILIES:
        rows = [row for row in results.ok("rules") if row.family == family]
        for size in dict.fromkeys(label(row.size) for row in rows):
            here = [row for row in rows if label(row.size) == size]
            mine = _best([row for row in here if row.who == "neurolrnn" and row.name.endswith("float32")])
            for peer in _fastest_of_each(here):
                if mine is not None:
                    found.append((family, size, mine, peer, ratio(peer.samples, mine.samples)))
    return found


def _fastest_of_each(rows: list[Row]) -> list[Row]:
    packages = dict.fromkeys(row.who for row in rows if row.who not in ("neurolrnn", "ceiling"))
    best = [_best([row for row in rows if row.who == package]) for package in packages]
    return [row for row in best if row is not None]


def duels_table(results: Results) -> str:
    """Who is ahead, and by how much."""
    body = [
        [FAMILIES[family].title, size, mine.name, f"{peer.who}: {peer.name}", _times(advantage), verdict(advantage)]
        for family, size, mine, peer, advantage in duels(results)
    ]
    head = ["task", "size", "our fastest in float32", "a peer's fastest", "peer's time / ours", "ahead"]
    return markdown_table(body, head, "llllrl") if body else "No peer is installed."


INTEGERS = re.compile(r", int\d+ ")
SHORT = ("rflo", "rflo-normal", "eprop", "learners", "batch")
"""Families of the short table."""


def short_table(results: Results) -> str:
    """The fastest float32 program of each package, in microseconds a step and lane, at one output."""
    body = []
    for family in SHORT:
        rows = [row for row in results.ok("rules") if row.family == family and row.size.get("n_out", 1) == 1]
        sizes = [n for n in (64, 256, 1024) if any(row.size["n"] == n for row in rows)]
        for who in dict.fromkeys(row.who for row in rows if row.who != "ceiling"):
            line = [FAMILIES[family].title, who]
            for n in (64, 256, 1024):
                here = [r for r in rows if r.who == who and r.size["n"] == n and not INTEGERS.search(r.name)]
                best = _best(here)
                line.append(number(spread(best.samples).median) if best is not None and n in sizes else "-")
            body.append(line)
    return markdown_table(body, ["task", "package", "n = 64", "n = 256", "n = 1 024"], "llrrr") if body else ""


def _times(s: Spread) -> str:
    return f"{s.median:.2f} ({s.low:.2f} to {s.high:.2f})"


def own_table(results: Results) -> str:
    """Our number systems beside our float32, and float32 beside one pass over W."""
    body = []
    for row in results.ok("rules"):
        family = [r for r in results.ok("rules") if r.family == row.family and r.size == row.size]
        title, _, precision = row.name.rpartition(", ")
        if row.who == "neurolrnn" and precision.startswith("int"):
            other = next((r for r in family if r.name == f"{title}, float32"), None)
            if other is not None:
                body.append([row.name, label(row.size), "its float32", _times(ratio(row.samples, other.samples))])
        if row.who == "neurolrnn" and precision == "float32":
            other = next((r for r in family if r.who == "ceiling"), None)
            if other is not None:
                body.append([row.name, label(row.size), other.name, _times(ratio(row.samples, other.samples))])
    return markdown_table(body, ["contender", "size", "beside", "its time / that"], "lllr") if body else ""


def achieved(row: Row, what: str) -> float | None:
    """Return GB/s (``"bytes"``) or GMAC/s (``"macs"``) that a row reached, from what its rule needs at least."""
    amount = row.extra.get(what)
    if amount is None and what == "macs" and row.name in COUNTS:  # files from before peers of batches were counted
        amount = COUNTS[row.name][1](Work(row.size["n"], 1, row.size.get("n_out", 1)))
    return None if amount is None else float(amount) / spread(row.samples).median / 1e3


def ceiling(results: Results, name: str, n: int | None = None) -> float | None:
    """Return the best that was measured for a ceiling."""
    rows = [r for r in results.ok("ceilings") if r.name == name and (n is None or r.size.get("n") == n)]
    return max((max(row.samples) for row in rows), default=None)


ONE_PASS = ("rflo", "eprop", "tbptt1", "tbptt10")
"""Families that read a whole W at every step."""
DTYPES = {"float32": "float32", "float64": "float64", "int16 nearest": "int16", "int16 stochastic": "int16"}


def shares_table(results: Results) -> str:
    """How much of a pass over a matrix of the same size and type our programs reach."""
    rows = []
    for row in results.ok("rules"):
        dtype = DTYPES.get(row.name.rpartition(", ")[2])
        top = ceiling(results, f"pass over a matrix, {dtype}", row.size["n"]) if dtype else None
        reached = achieved(row, "bytes")
        if dtype is None and row.who != "ceiling":  # a peer's, all in float32
            top = ceiling(results, "pass over a matrix, float32", row.size["n"])
        if row.family in ONE_PASS and top and reached and row.who != "ceiling":
            rows.append((row, f"{reached:.1f} ({100 * reached / top:.0f} %)"))
    shown = {id(row): text for row, text in rows}
    unique = {(row.who, row.name, label(row.size)): row for row, _ in rows}
    return _wide(list(unique.values()), lambda row: shown[id(row)], "GB/s (share of the ceiling)") if rows else ""


PRODUCTS = ("batch", "learners", "bptt-batch")
"""Families whose work is a matrix product."""


def products_table(results: Results) -> str:
    """How much of the multiply-adds of one core, in float32, programs reach whose work is a matrix product."""
    ways = ("multiply-add in registers, float32", "matrix product, float32")
    top = max(filter(None, (ceiling(results, way) for way in ways)), default=None)
    rows, shown = [], {}
    for row in results.ok("rules"):
        reached = achieved(row, "macs")
        if top and reached and row.family in PRODUCTS and not re.search(r"float64|int\d", row.name):
            rows.append(row)
            shown[id(row)] = f"{reached:.1f} ({100 * reached / top:.0f} %)"
    return _wide(rows, lambda row: shown[id(row)], "GMAC/s (share of the ceiling)") if rows else ""


def batches_table(results: Results) -> str:
    """The fastest BPTT in batches beside the fastest online learning of any W₀: microseconds per step and sequence."""
    rows, body = results.ok("rules"), []
    for size in dict.fromkeys(label(row.size) for row in rows if row.family == "bptt-batch"):
        here = [row for row in rows if label(row.size) == size and row.who != "ceiling"]
        offline = _best([row for row in here if row.family == "bptt-batch"])
        online = [
            _best([row for row in here if row.family in families and (row.who == "neurolrnn") is mine])
            for families in (("rflo",), ("batch", "learners"))
            for mine in (True, False)
        ]
        cells = [f"{number(spread(row.samples).median)}, {_title(row)}" if row else "-" for row in (offline, *online)]
        body.append([size, *cells])
    head = ["size", "BPTT, batch", "online, one sequence", "a peer's", "online, batch", "a peer's"]
    return markdown_table(body, head) if body else ""


def ceilings_table(results: Results) -> str:
    """What the machine can do."""
    body = [
        [row.name, f"{row.size['n']}" if row.size.get("n") else "", row.size.get("cache", ""),
         f"{max(row.samples):.1f} {row.unit}"]
        for row in results.ok("ceilings")
    ]  # fmt: skip
    return markdown_table(body, ["ceiling", "n", "held by", "best"], "lrlr") if body else ""


def whole_table(results: Results) -> str:
    """Whole runs beside their kernels."""
    body = [
        [row.name, label(row.size), f"{row.extra.get('steps', 0):,}".replace(",", " "), cell(row.samples),
         f"{row.extra['overhead_percent']:.1f} %" if "overhead_percent" in row.extra else ""]
        for row in results.ok("runs")
    ]  # fmt: skip
    return markdown_table(body, ["what", "size", "steps", "µs per step", "beyond the kernel"], "llrrr") if body else ""


def sweeps_table(results: Results) -> str:
    """Sweeps by number of threads."""
    body = [
        [row.name, label(row.size), row.size["threads"], row.extra["runs"], cell(row.values),
         f"{row.extra['speedup']:.2f}"]
        for row in results.ok("sweeps")
    ]  # fmt: skip
    head = ["runs of", "size", "threads", "runs", "seconds, wall", "against one thread"]
    return markdown_table(body, head, "llrrrr") if body else ""


def memory_table(results: Results) -> str:
    """Megabytes of a learner."""
    body = [
        [row.name, label(row.size), *(number(x) for x in (
            row.values[0], row.extra["beyond_W0"], row.extra["all_arrays"], row.extra["resident"]))]
        for row in results.ok("memory")
    ]  # fmt: skip
    head = ["learner", "size", "its steps use", "of it beyond fixed W₀", "all arrays, with data", "process grew by"]
    return markdown_table(body, head, "llrrrr") if body else ""


def start_table(results: Results) -> str:
    """Seconds until something happens."""
    body = []
    for row in results.ok("start"):
        anew = row.extra.get("compiled_anew")
        note = "" if anew is None else f"compiled anew: {anew:.0f}"
        body.append([_title(row), cell(row.values), note])
    return markdown_table(body, ["start", "seconds, wall", ""], "lrl") if body else ""


def missing(results: Results) -> str:
    """Name what could not be measured, and why."""
    lines = [f"- {name}: {what}" for name, what in results.peers.items() if what.startswith("absent")]
    grouped: dict[tuple[str, str, str], list[str]] = {}
    for row in results.rows:
        if row.status != "ok":
            grouped.setdefault((row.status, _title(row), row.note), []).append(
                label(row.size) if "n" in row.size else ""
            )
    lines += [
        f"- {title} ({', '.join(filter(None, dict.fromkeys(sizes)))}): {status}: {note}"
        for (status, title, note), sizes in grouped.items()
    ]
    return "\n".join(lines) or "Nothing."


def machine_text(results: Results) -> str:
    """One paragraph on what this was measured on."""
    m = results.machine
    held = ", ".join(f"{name} {size // 1024:,} KiB".replace(",", " ") for name, size in m.get("caches", {}).items())
    versions = ", ".join(f"{name} {version}" for name, version in m.get("versions", {}).items())
    busy = [spread(row.values).median / spread(row.cpu).median - 1.0 for row in results.ok("rules") if row.cpu]
    text = (
        f"{m.get('processor', '?')}, {m.get('cores', '?')} cores ({held or 'caches unknown'}), {m.get('system', '')}; "
    )
    text += f"{versions}. One core, one thread" if m.get("pinned") else f"{versions}. Not pinned to a core"
    text += f"; {results.settings.get('rounds', '?')} rounds, {results.mode} selection."
    if busy:
        text += f" Wall time was in the median {100 * max(0.0, spread(busy).median):.0f} % above processor time"
        text += f", at worst {100 * max(busy):.0f} %."
        if max(busy) > BUSY:
            text += " **The machine was busy:** sweeps and start, which are wall time, say little; measure again."
    return text


SECTIONS: tuple[tuple[str, Callable[[Results], str]], ...] = (
    ("Machine", machine_text),
    ("Who is ahead", duels_table),
    ("Fixed point and one pass over W", own_table),
    ("BPTT in batches beside online learning", batches_table),
    ("Every contender", rules_tables),
    ("Ceilings", ceilings_table),
    ("Share of the ceiling", shares_table),
    ("Share of the multiply-adds", products_table),
    ("Whole runs", whole_table),
    ("Sweeps", sweeps_table),
    ("Memory, in MB", memory_table),
    ("Start", start_table),
    ("Not measured", missing),
)


def report(results: Results, level: int = 2) -> str:
    """Return all tables as Markdown, which also reads as text."""
    parts = []
    for title, make in SECTIONS:
        text = make(results)
        if text:
            text = re.sub(r"^### ", f"{'#' * (level + 1)} ", text, flags=re.MULTILINE)
            parts.append(f"{'#' * level} {title}\n\n{text}")
    return "\n\n".join(parts)


def into(text: str, content: str) -> str:
    """Return a page with what stands between its markers replaced.

    Raises
    ------
    ValueError
        If the page does not have each marker once.
    """
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        raise ValueError(f"the page must have {BEGIN} and {END} once each")
    before, rest = text.split(BEGIN)
    return f"{before}{BEGIN}\n\n{content}\n\n{rest[rest.index(END) :]}"
