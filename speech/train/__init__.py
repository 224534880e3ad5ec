"""Training of the speech network: `python -m animaface.speech.train --data ../shared/data`.

Nothing here is imported at run time; torch is needed (extra `train`).
"""

from pathlib import Path
from typing import Any


def main(data: Path, out: Path | None = None, **settings: Any) -> Path:
    """Train from the folder `data` (holding grid_s1/) and write the weights; returns their path.

    `settings` are fields of recipe.Recipe (steps, flite_sentences, seed ...). Default `out`: the weights of
    the package. Raises InputError when the data is missing, ConfigError for a setting that does not exist.
    """
    from animaface.speech.network import default_weights
    from animaface.speech.train.recipe import Recipe, train

    path = out or default_weights()
    train(data, path, Recipe.from_settings(settings))
    return path
