"""Profiles the small experiment of the tests, and writes down which runs it begins and which it has kept."""

import os
import sys

from profile_cases import AXES, SEEDS, experiment

import neurolrnn as nl
from neurolrnn.profiles import threads
from neurolrnn.profiles.store import Store


def main(store: str, log: str, engine: str) -> None:
    """Profile into ``store``; each line of ``log`` is ``begun`` or ``kept`` and a digest."""
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    make, add = threads.make, Store.add

    def logged_make(tables, digest):
        os.write(file, f"begun {digest}\n".encode())
        return make(tables, digest)

    def logged_add(self, rows):
        rows = list(rows)
        add(self, rows)
        os.write(file, "".join(f"kept {row.digest}\n" for row in rows).encode())

    threads.make, Store.add = logged_make, logged_add
    name, _, value = engine.partition("=")
    how = {name: int(value) if value.isdigit() else value}
    print("begins", flush=True)
    profile = nl.profile(experiment(), AXES, seeds=SEEDS, store=store, progress=False, **how)
    print(profile.status, len(profile.rows), len(profile.lost), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
