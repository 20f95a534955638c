"""Writes the manifests to apply, the CustomResourceDefinitions among them, and the field reference of the models.

    python -m ephemeral_endpoints.api.crds [--check] [--reference FILE] [--chart DIR] DIR

writes one YAML file per CRD into DIR, one of what guards approvals, and, if asked, the field reference to FILE, and the
same manifests for the Helm chart in --chart's DIR; with --check it writes nothing and fails where a file is not what it
would write.
"""

import argparse
import sys
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import yaml
from pydantic.json_schema import GenerateJsonSchema

from ephemeral_endpoints.api import GROUP, VERSION, admission
from ephemeral_endpoints.api.base import ApiModel
from ephemeral_endpoints.api.duration import format_duration
from ephemeral_endpoints.api.endpoint import EphemeralEndpoint
from ephemeral_endpoints.api.endpoint_class import EphemeralEndpointClass
from ephemeral_endpoints.api.reference import reference
from ephemeral_endpoints.api.structural import structural

Crd = dict[str, Any]

_COMMAND = "python -m ephemeral_endpoints.api.crds"
_UNSEEN = {"observedGeneration": -1}
_TYPE_META = {
    "apiVersion": {"type": "string", "description": "Version of the schema that the object is written in."},
    "kind": {"type": "string", "description": "Kind of the object."},
    "metadata": {"type": "object"},
}


class _JsonSchema(GenerateJsonSchema):
    """Writes defaults as the wire has them: pydantic asks a field's own serializer about values only."""

    def encode_default(self, dft: object) -> Any:  # noqa: ANN401 as pydantic declares it
        return super().encode_default(format_duration(dft) if isinstance(dft, timedelta) else dft)


def endpoint_crd() -> Crd:
    """Return the CRD of EphemeralEndpoint."""
    columns = [
        _condition_column("Ready", "status"),
        _condition_column("Reason", "reason"),
        _column("PR", ".spec.source.pullRequest", "integer", "Number of the pull request"),
        _column("URL", ".status.url", "string", "Public URL of the endpoint"),
        # As `date` it would be shown as an age, and an age to come as <invalid>.
        _column("Expires", ".status.expiresAt", "string", "When the endpoint goes away"),
        _column("Revision", ".status.revision", "string", "Git commit that is served", wide=True),
        _column("Serving", ".status.serving", "string", "What the model runs on", wide=True),
        _column("Cost/h", ".status.cost.hourlyUSD", "string", "USD an hour that its instances cost", wide=True),
        _column("Age", ".metadata.creationTimestamp", "date", "Time since the object was made"),
    ]
    return _crd(EphemeralEndpoint, plural="ephemeralendpoints", short_name="eep", scope="Namespaced", columns=columns)


def endpoint_class_crd() -> Crd:
    """Return the CRD of EphemeralEndpointClass."""
    columns = [
        _column("Region", ".spec.region", "string", "AWS region that the endpoints run in"),
        _column(
            "Default",
            r".metadata.annotations.ephemeral-endpoints\.io/is-default-class",
            "string",
            "Whether the class serves objects that name none",
        ),
        _column("Age", ".metadata.creationTimestamp", "date", "Time since the object was made"),
    ]
    return _crd(
        EphemeralEndpointClass, plural="ephemeralendpointclasses", short_name="eepc", scope="Cluster", columns=columns
    )


def _crd(model: type[ApiModel], *, plural: str, short_name: str, scope: str, columns: Sequence[dict[str, Any]]) -> Crd:
    kind = model.__name__
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "names": {
                "kind": kind,
                "listKind": f"{kind}List",
                "plural": plural,
                "singular": kind.lower(),
                "shortNames": [short_name],
                "categories": ["mlops"],
            },
            "scope": scope,
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "additionalPrinterColumns": list(columns),
                    "schema": {"openAPIV3Schema": _object_schema(model)},
                }
            ],
        },
    }


def _object_schema(model: type[ApiModel]) -> dict[str, Any]:
    """Return the schema of the whole object, with what the API server itself defines left to it."""
    schema = structural(model.model_json_schema(schema_generator=_JsonSchema))
    schema["properties"] |= _TYPE_META
    schema["properties"]["status"]["default"] = _UNSEEN
    return schema | {"required": ["spec"]}


def _column(name: str, path: str, type_: str, description: str, *, wide: bool = False) -> dict[str, Any]:
    column = {"name": name, "type": type_, "jsonPath": path, "description": description}
    return column | {"priority": 1} if wide else column


def _condition_column(name: str, field: str) -> dict[str, Any]:
    path = f'.status.conditions[?(@.type=="Ready")].{field}'
    return _column(name, path, "string", f"The {field} of the condition Ready")


def rendered(*manifests: dict[str, Any], source: str = "the models") -> str:
    """Return the manifests as YAML, the same text for the same source everywhere."""
    body = yaml.safe_dump_all(manifests, sort_keys=False, allow_unicode=True, width=120)
    return f"# Generated by `{_COMMAND}`: change {source}, not this file.\n---\n{body}"


def _files(directory: Path, *, reference_file: Path | None, chart: Path | None) -> dict[Path, str]:
    """Return what each file is to contain."""
    crds = [endpoint_crd(), endpoint_class_crd()]
    definitions = {f"{crd['metadata']['name']}.yaml": rendered(crd) for crd in crds}
    approval = rendered(*admission.approval_manifests(), source=f"`{admission.__name__}`")
    files = {directory / name: text for name, text in definitions.items()}
    files[directory / "approval.yaml"] = approval
    if reference_file:
        files[reference_file] = reference(crds)
    if chart:
        # Helm reads nothing from outside of a chart: https://helm.sh/docs/chart_template_guide/accessing_files/
        files |= {chart / "files" / "crds" / name: text for name, text in definitions.items()}
        files[chart / "files" / "approval.yaml"] = approval
    return files


def main(arguments: Sequence[str] | None = None) -> int:
    """Write or check the generated files; return the exit status."""
    parser = argparse.ArgumentParser(prog=_COMMAND, description="Write the manifests and the field reference.")
    parser.add_argument("directory", type=Path, metavar="DIR", help="folder of the manifests' YAML files")
    parser.add_argument("--reference", type=Path, metavar="FILE", help="Markdown file of the field reference")
    parser.add_argument("--chart", type=Path, metavar="DIR", help="folder of the Helm chart, which gets copies")
    parser.add_argument("--check", action="store_true", help="write nothing, fail where a file is stale")
    options = parser.parse_args(arguments)
    files = _files(options.directory, reference_file=options.reference, chart=options.chart)
    stale = [path for path, text in files.items() if not path.is_file() or path.read_text(encoding="utf-8") != text]
    if options.check:
        sys.stderr.writelines(f"{path} is stale: run `{_COMMAND}`\n" for path in stale)
        return 1 if stale else 0
    for path in stale:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(files[path], encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
