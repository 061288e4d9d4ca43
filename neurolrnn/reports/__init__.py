"""Pages for people who would rather look than read: one self-contained file, no network."""

from neurolrnn.reports.report import report

__all__ = ["report"]
