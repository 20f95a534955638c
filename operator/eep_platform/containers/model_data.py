"""A model's data as a folder for its container."""

import tarfile
from pathlib import Path

from eep_platform.containers.errors import InvalidImage

ML_DIR = "/opt/ml"
"""Where SageMaker exchanges files with a container."""

ADDITIONAL_DIR = "/opt/ml/additional-model-data-sources"
"""Where a container finds each source of additional model data, by its channel's name."""


def model_folder(model_data: Path, target: Path) -> Path:
    """The folder `model_data`, or the archive `model_data` unpacked into the folder `target`.

    Raises:
        InvalidImage: the archive cannot be unpacked.
    """
    if model_data.is_dir():
        return model_data.resolve()
    target.mkdir(parents=True, exist_ok=True)
    try:
        with tarfile.open(model_data) as archive:
            archive.extractall(target, filter="data")
    except (OSError, tarfile.TarError) as error:
        raise InvalidImage(f"the model data cannot be unpacked: {error}") from error
    target.chmod(0o755)  # the container runs as another user
    return target.resolve()
