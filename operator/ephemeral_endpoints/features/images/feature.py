"""Images: where they are kept, whether they may be served, and how they are made."""

from typing import Final

from ephemeral_endpoints.features.feature import Feature
from ephemeral_endpoints.features.images import iam, registry
from ephemeral_endpoints.features.images.builds import codebuild
from ephemeral_endpoints.features.images.builds.iam import BUILDS
from ephemeral_endpoints.features.images.components import RepositoryComponent

IMAGES: Final = Feature(
    name="images",
    policy="operator-images",
    adapters=(RepositoryComponent,),
    shared_actions=registry.ACTIONS | codebuild.ACTIONS,
    shared_statements=(*iam.IMAGES, *BUILDS),
)
