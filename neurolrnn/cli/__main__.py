"""``python -m neurolrnn.cli``."""

import sys

from neurolrnn.cli.command import main

sys.exit(main())
