"""``python -m neurolrnn``: the command line."""

from neurolrnn.cli import main

raise SystemExit(main())
