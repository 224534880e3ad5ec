"""Training of the speech network: `python -m animaface.speech.train --data ../shared/data`.

Nothing here is imported at run time; torch is needed (extra `train`).
"""

from pathlib import Path
from typing import Any


def main(
    data: Path,
    out: Path | None = None,
    *,
    config: Path | None = None,
    cache: Path | None = None,
    captures: Path | None = None,
    **settings: Any,
) -> Path:
    """Train from the folder `data` (holding grid_s1/) and write the weights; returns their path.

    `config`: a YAML file of recipe.Recipe's fields (default speech.yaml), `settings` change single ones.
    `cache`: a folder to keep the prepared examples in. `captures`: a folder of one's own recordings. Default `out`: the weights of the package. Raises
    InputError when the data is missing, ConfigError for a setting that does not exist.
    """
    from animaface.speech.network import default_weights
    from animaface.speech.train.recipe import CONFIG, Recipe, train

    path = out or default_weights()
    train(data, path, Recipe.from_file(config or CONFIG, **settings), cache=cache, captures=captures)
    return path
