"""The same learning written with other tools, one file each; a peer that is not installed is listed as absent.

A file holds ``PROGRAMS``: for each name of a contender, a function that takes a :class:`benchmarks.work.Work` and
returns a :class:`benchmarks.work.Program`. Each is written as well as its tool allows: compiled where that is possible,
in place, in float32, with the loss of every step among its results.
"""
