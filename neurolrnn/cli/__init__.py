"""The command ``neurolrnn``, a module for each verb."""

from neurolrnn.cli.command import main, make_parser

__all__ = ["main", "make_parser"]
