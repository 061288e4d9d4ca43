"""BibTeX for the papers behind a rule or a run.

``python -m neurolrnn.citations RUN.npz`` prints them; without a file, those of every rule.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from neurolrnn.errors import NeurolrnnError
from neurolrnn.rules import RULES, Rule
from neurolrnn.run import Run
from neurolrnn.tasks import TASKS

MODEL = "williams2026"
PAPERS: dict[str, str] = {
    "williams2026": """@inproceedings{williams2026,
  author    = {Williams, Ezekiel and Payeur, Alexandre and Lajoie, Guillaume},
  title     = {Dynamics and Representation Structure of Local Approximations to Gradient-Based Learning in Linear
               Recurrent Neural Networks},
  booktitle = {International Conference on Machine Learning},
  year      = {2026},
  eprint    = {2606.00243},
  archivePrefix = {arXiv},
  primaryClass  = {cs.NE},
}""",
    "murray2019": """@article{murray2019,
  author  = {Murray, James M.},
  title   = {Local online learning in recurrent networks with random feedback},
  journal = {eLife},
  volume  = {8},
  pages   = {e43299},
  year    = {2019},
  doi     = {10.7554/eLife.43299},
}""",
    "williams1990": """@article{williams1990,
  author  = {Williams, Ronald J. and Peng, Jing},
  title   = {An efficient gradient-based algorithm for on-line training of recurrent network trajectories},
  journal = {Neural Computation},
  volume  = {2},
  number  = {4},
  pages   = {490--501},
  year    = {1990},
  doi     = {10.1162/neco.1990.2.4.490},
}""",
    "bellec2020": """@article{bellec2020,
  author  = {Bellec, Guillaume and Scherr, Franz and Subramoney, Anand and Hajek, Elias and Salaj, Darjan and
             Legenstein, Robert and Maass, Wolfgang},
  title   = {A solution to the learning dilemma for recurrent networks of spiking neurons},
  journal = {Nature Communications},
  volume  = {11},
  pages   = {3625},
  year    = {2020},
  doi     = {10.1038/s41467-020-17236-y},
}""",
    "menick2021": """@inproceedings{menick2021,
  author    = {Menick, Jacob and Elsen, Erich and Evci, Utku and Osindero, Simon and Simonyan, Karen and Graves, Alex},
  title     = {Practical real time recurrent learning with a sparse approximation},
  booktitle = {International Conference on Learning Representations},
  year      = {2021},
  url       = {https://openreview.net/forum?id=q3KSThy2GwB},
}""",
    "williams1989": """@article{williams1989,
  author  = {Williams, Ronald J. and Zipser, David},
  title   = {A learning algorithm for continually running fully recurrent neural networks},
  journal = {Neural Computation},
  volume  = {1},
  number  = {2},
  pages   = {270--280},
  year    = {1989},
  doi     = {10.1162/neco.1989.1.2.270},
}""",
    "werbos1990": """@article{werbos1990,
  author  = {Werbos, Paul J.},
  title   = {Backpropagation through time: what it does and how to do it},
  journal = {Proceedings of the IEEE},
  volume  = {78},
  number  = {10},
  pages   = {1550--1560},
  year    = {1990},
  doi     = {10.1109/5.58337},
}""",
}
"""Entries by the keys that the rules carry; :data:`MODEL` is the paper of the model and its letters."""


def bibtex(*used: Run | Rule | type[Rule]) -> str:
    """Return the entries for the model and for what was used, each once.

    Parameters
    ----------
    *used : Run, or Rule
        A run stands for its rule; its task is named in a comment, since some of the data have authors too.
    """
    keys, comments = {MODEL: None}, []
    for item in used:
        rule: Rule | type[Rule]
        if isinstance(item, Run):
            rule = RULES[str(item.experiment["rule"]["name"])]
            task = item.experiment["task"]["name"]
            if task in TASKS:
                comments.append(f"% task {task}: {TASKS[task].source}")
        else:
            rule = item
        keys.update(dict.fromkeys(rule.papers))
    return "\n\n".join([*(PAPERS[key] for key in keys), *dict.fromkeys(comments)])


def main(argv: Sequence[str] | None = None) -> int:
    """Print the entries for run files, or for every rule."""
    files = list(sys.argv[1:] if argv is None else argv)
    if any(name.startswith("-") for name in files):
        print(__doc__)
        return 0
    try:
        print(bibtex(*(map(Run.load, files) if files else RULES.values())))
    except NeurolrnnError as error:
        print(f"neurolrnn.citations: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
