"""Runs in an environment with NEST 3: our folder, started as its user would start it."""

import importlib.util

import nest
from common import main, version

nest.verbosity = nest.VerbosityLevel.ERROR


def run(path, x):
    spec = importlib.util.spec_from_file_location("network", path / "network.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.simulate(x)


if __name__ == "__main__":
    main(run, "*.nest", version("nest-simulator", "numpy"))
