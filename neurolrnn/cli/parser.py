"""The parser of the command: argparse that says which word may have been meant."""

from __future__ import annotations

import argparse
import difflib
import re
import textwrap
from typing import Any, NoReturn


class Formatter(argparse.RawDescriptionHelpFormatter):
    """Keeps the lines of examples, and fits paragraphs to the terminal."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        if "\n" in text:
            return super()._fill_text(text, width, indent)
        return textwrap.fill(text, width, initial_indent=indent, subsequent_indent=indent)


class Parser(argparse.ArgumentParser):
    """An argument parser whose help fits the terminal, and whose errors end with the nearest word that is allowed."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"formatter_class": Formatter, **options})

    def error(self, message: str) -> NoReturn:
        """Print usage and message on stderr and end with exit code 2."""
        super().error(message + self._meant(message))

    def _meant(self, message: str) -> str:
        wrong = re.search(r"invalid choice: '?([^' ]+)'? \(choose from (.*)\)", message)
        if wrong:
            return _hint(wrong[1], re.findall(r"[\w-]+", wrong[2]))
        unknown = re.search(r"unrecognized arguments: (-\S+)", message)
        return _hint(unknown[1].split("=")[0], _options(self)) if unknown else ""


def _options(parser: argparse.ArgumentParser) -> list[str]:
    """Return the options of a parser and of all below it."""
    found: list[str] = []
    for action in parser._actions:
        found += action.option_strings
        if isinstance(action, argparse._SubParsersAction):
            below: Any = action.choices
            found += [option for part in below.values() for option in _options(part)]
    return found


def _hint(word: str, allowed: list[str]) -> str:
    close = difflib.get_close_matches(word, allowed, n=1)
    return f"; did you mean {close[0]!r}?" if close else ""
