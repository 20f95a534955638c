"""OCI image layouts: folders and archives of one image (https://github.com/opencontainers/image-spec)."""

import json
import os
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from eep_platform.containers.blobs import BlobStore
from eep_platform.containers.errors import InvalidImage
from eep_platform.containers.image import INDEX, BuiltImage, Descriptor

_NAME: Final = "org.opencontainers.image.ref.name"


def write_layout(image: BuiltImage, folder: Path, name: str | None = None) -> None:
    """Write an image to a folder, which then holds it alone, under the name if one is given."""
    _lay_out(image, folder, name, shutil.copyfile)


def _lay_out(image: BuiltImage, folder: Path, name: str | None, place: Callable[[Path, Path], object]) -> None:
    target = BlobStore(folder)
    blobs = (*image.manifest.layers, image.manifest.config, image.descriptor)
    for digest in dict.fromkeys(blob.digest for blob in blobs):
        path = target.path(digest)
        path.parent.mkdir(parents=True, exist_ok=True)
        place(image.blobs.path(digest).absolute(), path)
    entry = {**image.descriptor.document(), **({"annotations": {_NAME: name}} if name else {})}
    index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [entry]}
    (folder / "index.json").write_text(json.dumps(index), encoding="utf-8")
    (folder / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}', encoding="utf-8")


def write_archive(image: BuiltImage, archive: Path) -> None:
    """Write an image without a name to a tar archive."""
    with TemporaryDirectory() as folder:
        _lay_out(image, Path(folder), None, os.symlink)
        with tarfile.open(archive, "w", dereference=True) as tar:
            tar.add(folder, ".")


def read_layout(folder: Path, name: str | None = None) -> BuiltImage:
    """The image of that name, or the only one.

    Raises:
        InvalidImage: There is no such layout or image, or a blob is missing or not what its digest says.
    """
    blobs = BlobStore(folder)
    try:
        entries = json.loads((folder / "index.json").read_bytes())["manifests"]
        named = [each for each in entries if name is None or (each.get("annotations") or {}).get(_NAME) == name]
        [descriptor] = map(Descriptor.parse, named)
        image = BuiltImage(blobs, descriptor)
        for blob in (descriptor, image.manifest.config, *image.manifest.layers):
            blobs.check(blob.digest)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InvalidImage(f"{folder}: no image {name or ''}: {error}") from error
    return image


def read_archive(archive: Path, folder: Path) -> BuiltImage:
    """The only image of a tar archive, unpacked to a folder. Raises as ``read_layout`` does."""
    try:
        shutil.unpack_archive(archive, folder, "tar", filter="data")
    except (OSError, shutil.ReadError, tarfile.TarError) as error:
        raise InvalidImage(f"{archive}: {error}") from error
    return read_layout(folder)
