"""Speed and memory of the learning rules, beside the machine's ceilings and what one would write with other tools.

    python -m benchmarks run -o results.json        a few minutes; --quick under one, --full everything
    python -m benchmarks table results.json
    python -m benchmarks picture results.json -o picture.png
    python -m benchmarks compare old.json new.json

docs/performance.md says how it is measured. Nothing here is imported by the package.
"""
