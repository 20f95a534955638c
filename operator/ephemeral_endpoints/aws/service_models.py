"""botocore's models of the services without their documentation, which is a third of what they take in memory."""

import gzip
import json
from pathlib import Path
from typing import Any

from botocore.loaders import JSONFileLoader
from typing_extensions import override


class ServiceModels(JSONFileLoader):
    """Loads the files of botocore, compressed ones too. A file is found without its extension, as botocore names it."""

    @override
    def load_file(self, file_path: str) -> Any:
        """The content of the file; None if there is none, for the next folder of botocore's search path."""
        for path, read in ((Path(f"{file_path}.json"), open), (Path(f"{file_path}.json.gz"), gzip.open)):
            if path.is_file():
                with read(path, "rb") as file:
                    return _readable(json.loads(file.read(), object_hook=_without_documentation))
        return None


def _without_documentation(part: dict[str, Any]) -> dict[str, Any]:
    # A member of a structure may have that name too, and is no text.
    if isinstance(part.get("documentation"), str):
        del part["documentation"]
    return part


def _readable(model: Any) -> Any:
    """The model with what botocore reads of its documentation: that of the parameters of a client, which S3 has."""
    parameters = model.get("clientContextParams", {}) if isinstance(model, dict) else {}
    for each in parameters.values():
        each["documentation"] = ""
    return model
