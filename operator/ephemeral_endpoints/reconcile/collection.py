"""What becomes of images that were made for an object: those of earlier revisions, and the last one when it goes."""

from collections.abc import Collection
from dataclasses import replace

from ephemeral_endpoints.aws.account import Account
from ephemeral_endpoints.core.builds import is_made_tag
from ephemeral_endpoints.core.errors import AwsError
from ephemeral_endpoints.core.images import ImageReference
from ephemeral_endpoints.core.repositories import repository_want
from ephemeral_endpoints.core.resources import Kind
from ephemeral_endpoints.kube.store import Store
from ephemeral_endpoints.reconcile.run import IMAGE, Context, Run


def is_being_made(context: Context, run: Run) -> bool:
    """Whether the object's image is still being made and for nobody else; the object is woken once that has ended.

    What the status tells to be pinned was made. Raises the ``Problem`` that keeps it from being known.
    """
    subject = run.subject
    order, known = subject.order, subject.endpoint.status.image
    if order is None or subject.klass.spec.builds is None or (known and known.uri == order.image):
        return False
    return context.builds.is_making(run.key, subject.klass, run.account, order.image)


async def collect_last(context: Context, run: Run) -> None:
    """Delete what was made for an object that goes, unless others name it. Raises an ``AwsError``."""
    order = run.subject.order
    await _collect(context, run, {order.image, *run.memory.images.replaced} if order else run.memory.images.replaced)


async def collect_replaced(context: Context, run: Run) -> None:
    """Delete the images of revisions that the object does not serve any more, unless others name them.

    What fails is left for the sweep.
    """
    replaced, run.memory.images.replaced = run.memory.images.replaced, set()
    try:
        await _collect(context, run, replaced - run.subject.images)
    except AwsError as error:
        run.memory.retries.note(IMAGE, error, context.clock())


async def _collect(context: Context, run: Run, uris: Collection[str]) -> None:
    """Take the tags off: ECR deletes an image with its last one, so that another one keeps it.

    What objects in the namespaces of other operators name is not known: then images stay until they expire.
    """
    if not context.is_alone:
        return
    want = repository_want(run.subject.cluster_id, run.subject.klass)
    if not uris or want is None or want.key not in run.others or run.subject.klass.spec.images.repository.keep_images:
        return
    references = [ImageReference.parse(uri) for uri in sorted(uris) if not _is_needed(context, run, uri)]
    tags = [each.tag for each in references if each.repository == want.key.name and each.tag and is_made_tag(each.tag)]
    if tags and not has_models_of_nobody(context.store, run.account):
        calls = run.account.calls.on_behalf_of(run.identity.owner, run.identity.lane)
        await run.account.images.take_off(calls, want.key.name, tags)


def _is_needed(context: Context, run: Run, uri: str) -> bool:
    """Whether another object names the image, as its own or by its tag."""
    others = (
        replace(run.subject, endpoint=endpoint)
        for key, endpoint in context.store.of_class(run.subject.klass.metadata.name)
        if key != run.key
    )
    return any(uri in other.images for other in others)


def has_models_of_nobody(store: Store, account: Account) -> bool:
    """Whether there are models of objects that are gone, such as retained ones: lists do not tell their images."""
    return any(
        key.kind is Kind.MODEL and (have.owner is None or store.by_owner(have.owner) is None)
        for key, have in account.inventory.all.items()
    )
