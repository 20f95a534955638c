"""Every reason that conditions and Events can tell: what it means, what to do, and whether it passes by itself.

For people: docs/troubleshoot.md is made from it. A test holds it against the code that tells them.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Place(StrEnum):
    """Where a reason is told first. ``Ready``, ``Reconciling`` and ``Stalled`` repeat those of the stages."""

    READY = "Ready"
    IMAGE = "ImageReady"
    ENDPOINT = "EndpointReady"
    ROUTE = "RouteReady"
    MONITORED = "Monitored"
    ANY = "Any stage"
    PROGRESS = "Reconciling, Stalled"
    CLASS = "Ready of a class"
    EVENT = "Events"


class Passes(StrEnum):
    """Whether what a reason tells passes by itself."""

    GOOD = "nothing is wrong"
    YES = "yes"
    MENDED = "once it is mended"
    """It is tried again all the time; the object need not be touched."""

    NO = "no"
    """``Stalled`` is true: somebody has to change the object, its class, or what stands in the way."""


class Concern(StrEnum):
    """Who can do something about it."""

    NOBODY = "nobody"
    AUTHOR = "author"
    PLATFORM = "platform"


@dataclass(frozen=True, slots=True)
class Told:
    """A reason, for people. ``means`` and ``remedy`` are Markdown."""

    reason: str
    places: tuple[Place, ...]
    passes: Passes
    concern: Concern
    means: str
    remedy: str = "wait"

    @property
    def of_ready(self) -> bool:
        """Whether the condition ``Ready`` of an object can have it."""
        return not {Place.CLASS, Place.EVENT, Place.PROGRESS}.issuperset(self.places)


_ALL_BUT_IMAGE: Final = (Place.ENDPOINT, Place.ROUTE, Place.MONITORED)
_NOTHING: Final = "nothing"


def _good(reason: str, *places: Place, means: str) -> Told:
    return Told(reason, places, Passes.GOOD, Concern.NOBODY, means, _NOTHING)


def _passing(reason: str, *places: Place, means: str, remedy: str = "wait") -> Told:
    return Told(reason, places, Passes.YES, Concern.NOBODY, means, remedy)


def _of_author(reason: str, *places: Place, passes: Passes = Passes.NO, means: str, remedy: str) -> Told:
    return Told(reason, places, passes, Concern.AUTHOR, means, remedy)


def _of_platform(reason: str, *places: Place, passes: Passes = Passes.MENDED, means: str, remedy: str) -> Told:
    return Told(reason, places, passes, Concern.PLATFORM, means, remedy)


_READY: Final = (
    _good("Serving", Place.READY, means="A request through the public URL was answered by this revision."),
    _passing(
        "NotAnswering",
        Place.READY,
        means="Everything is there, but the URL does not answer as it should; the message says what it answers.",
        remedy="wait a minute; then read the logs of the forwarder and of the endpoint, which `status.resources` names",
    ),
    _of_platform(
        "ClassNotFound",
        Place.READY,
        means="The class that the object names does not exist, or it names none and no class is the default.",
        remedy="apply the class, mark one as default, or name another in `spec.className`",
    ),
    _passing(
        "Deleting",
        Place.READY,
        Place.ENDPOINT,
        means="Everything in AWS is being deleted, or an endpoint is before another takes its place; the message names "
        "what is left.",
        remedy="wait; where it takes more than some minutes see [an object that does not go](#an-object-does-not-go)",
    ),
    _passing(
        "Expired",
        Place.READY,
        Place.EVENT,
        means="The time to live is over. The object is deleted, or stays as a tombstone where a GitOps tool would make "
        "it anew.",
        remedy="to keep it longer, raise `spec.lifecycle.ttl` before it ends",
    ),
    _good(
        "Retained",
        Place.READY,
        Place.EVENT,
        means="The object was deleted or expired, and everything stays in AWS as its `deletionPolicy` asks.",
    ),
    _passing("Retaining", Place.READY, means="What is to stay in AWS is being tagged as such."),
)

_IMAGE: Final = (
    _good("Pinned", Place.IMAGE, means="The image is in ECR and pinned to a digest."),
    _passing("NotLookedUp", Place.IMAGE, means="The image has not been looked for yet."),
    _of_author(
        "ImageNotFound",
        Place.IMAGE,
        passes=Passes.MENDED,
        means="There is no such image in ECR.",
        remedy="push it; it is looked for every 2 to 30 s",
    ),
    _of_author(
        "ImageInOtherRegion",
        Place.IMAGE,
        means="SageMaker pulls from its own region only.",
        remedy="push the image to the class's region, or use `spec.model.copy`",
    ),
    _of_author(
        "RepositoryNotAllowed",
        Place.IMAGE,
        means="The class does not take images from that repository.",
        remedy="use one that the message names, or have the class allow it (`spec.images`)",
    ),
    _of_author(
        "BuildsNotAllowed",
        Place.IMAGE,
        means="The class makes no images, not of this fork, or not with this secret.",
        remedy="follow the message, or have the class allow it (`spec.builds`)",
    ),
    _of_author(
        "ApprovalRequired",
        Place.IMAGE,
        passes=Passes.MENDED,
        means="The commit is of a fork, or the class has every commit approved.",
        remedy="have somebody read the commit and [approve](approvals.md) it",
    ),
    _passing("BuildQueued", Place.IMAGE, means="Others are built first, or the class's repository is being made."),
    _passing("Building", Place.IMAGE, means="The image is being built; the message names the step."),
    _passing("BuildRetrying", Place.IMAGE, means="The builder failed, not the commit; it is tried three times."),
    _of_author(
        "BuildFailed",
        Place.IMAGE,
        means="The commit cannot be built, or the builder failed three times; the message has the last lines.",
        remedy="push another commit, or change the annotation `ephemeral-endpoints.io/reconcile-at` to try again",
    ),
    _of_author(
        "BuildTimedOut",
        Place.IMAGE,
        means="The build took longer than `spec.builds.timeout` of the class.",
        remedy="make it faster, or have the class give it more time",
    ),
    _of_author(
        "ImageTooLarge",
        Place.IMAGE,
        means="Serverless endpoints take images of at most 10 GB.",
        remedy="make it smaller, or use `spec.serving.instances`",
    ),
    _of_author(
        "ImageForOtherPlatform",
        Place.IMAGE,
        means="The image is for another processor than it is served on.",
        remedy="build it for `linux/arm64` where instances are Graviton, else for `linux/amd64`",
    ),
    _passing("Scanning", Place.IMAGE, means="ECR looks for vulnerabilities in the image, which the class asks for."),
    _of_author(
        "NotScanned",
        Place.IMAGE,
        passes=Passes.MENDED,
        means="The class asks for scans, and ECR has not scanned the image or cannot.",
        remedy="have ECR scan the repository on push, or use another base image",
    ),
    _of_author(
        "Vulnerable",
        Place.IMAGE,
        means="ECR found vulnerabilities of the severity that the class does not serve; the message names the worst.",
        remedy="mend them and push again, or have the class ignore them (`spec.images.scan`)",
    ),
)

_ENDPOINT: Final = (
    _good("InService", Place.ENDPOINT, means="SageMaker serves this revision."),
    _passing(
        "WaitingForImage",
        Place.ENDPOINT,
        means="The endpoint is made once the image is there.",
        remedy="see `ImageReady`",
    ),
    _passing("Creating", *_ALL_BUT_IMAGE, means="What the message names is being made; an endpoint takes minutes."),
    _passing("Updating", *_ALL_BUT_IMAGE, means="What the message names is being changed; the URL serves meanwhile."),
    _passing("SystemUpdating", Place.ENDPOINT, means="AWS maintains the endpoint, which serves meanwhile."),
    _passing("RollingBack", Place.ENDPOINT, means="SageMaker takes a rollout back; the previous revision serves."),
    _of_author(
        "EndpointFailed",
        Place.ENDPOINT,
        means="SageMaker could not start the model. It is tried five times with pauses; the message has its reason and "
        "the last lines of the log.",
        remedy="see [the model does not start](#the-model-does-not-start); then push another commit",
    ),
    _of_author(
        "RolledBack",
        Place.ENDPOINT,
        means="The new revision failed or an alarm went off during its rollout; the previous one goes on serving.",
        remedy="read the message, push another commit",
    ),
    _of_author(
        "OutOfService",
        Place.ENDPOINT,
        means="SageMaker has taken the endpoint out of service; it is updated again with pauses.",
        remedy="read the message and the endpoint's log",
    ),
    _of_platform(
        "UpdateRollbackFailed",
        Place.ENDPOINT,
        passes=Passes.NO,
        means="A rollout failed and could not be taken back: both revisions serve.",
        remedy="push another commit; where that does not help delete the object and apply it anew",
    ),
    _of_platform(
        "Stuck",
        Place.ENDPOINT,
        means="SageMaker has been creating or updating the endpoint for longer than it takes; nothing else can be done "
        "meanwhile.",
        remedy="wait for AWS to end it, or ask AWS Support with the endpoint's name",
    ),
)

_ROUTE: Final = (
    _good("Routed", Place.ROUTE, means="The URL leads to the endpoint."),
    _passing("WaitingForToken", Place.ROUTE, means="The URL is made once the Secret with the token is there."),
    _of_author(
        "PathConflict",
        Place.ROUTE,
        passes=Passes.MENDED,
        means="An older object, which the message names, has the path.",
        remedy="choose another `spec.api.path`, or delete that object",
    ),
)

_REST: Final = (
    _good("Watching", Place.MONITORED, means="Logs are kept and alarms are set."),
    _good("UpToDate", Place.PROGRESS, means="Nothing is left to do."),
    _good("NotStalled", Place.PROGRESS, means="Nothing stands in the way for good."),
    _of_author(
        "Suspended",
        Place.PROGRESS,
        means="`spec.suspend` is true: nothing is made, changed or repaired. Deletion and the time to live work.",
        remedy="set `spec.suspend` to false",
    ),
    _good("Connected", Place.CLASS, means="The class's account and region can be used."),
    _of_platform(
        "InUse",
        Place.CLASS,
        means="The class is deleted, and waits for its objects or for what they left in AWS.",
        remedy="delete its objects; what was retained is yours to delete, the rest is swept",
    ),
    _of_platform(
        "EventsUnavailable",
        Place.CLASS,
        means="The queue that `spec.events` names cannot be read. Everything works, a second or two later.",
        remedy="make the queue, or allow the operator's role to read it",
    ),
    _of_platform(
        "Abandoned",
        Place.EVENT,
        passes=Passes.YES,
        means="The object was let go as its annotation asks, although things of it are left in AWS.",
        remedy="see that the sweep takes them",
    ),
    _of_platform(
        "DriftRepaired",
        Place.EVENT,
        passes=Passes.YES,
        means="Somebody else changed or deleted something of the object in AWS, and it was put right.",
        remedy="find out who does it, if it comes again",
    ),
)

_ANY: Final = (
    _of_platform(
        "AccessDenied",
        Place.ANY,
        means="A role lacks a permission; the message names the call and mostly the permission.",
        remedy="compare the role with the [policies](iam.md); it is tried again within five minutes",
    ),
    _of_platform(
        "CredentialsUnavailable",
        Place.ANY,
        means="The operator has no credentials, or wrong or expired ones.",
        remedy="see the [runbook](runbooks.md#ephemeralendpointscredentialsrefused)",
    ),
    _of_platform(
        "WrongAccount",
        Place.ANY,
        passes=Passes.NO,
        means="The credentials are of another account than the roles that the class names. Nothing is made there.",
        remedy="name a role of the right account in the class's `spec.assumeRole`",
    ),
    _of_platform(
        "NameConflict",
        Place.ANY,
        passes=Passes.NO,
        means="Something in AWS carries our name but not our tags. It is never touched.",
        remedy="see [a name that is taken](#a-name-is-taken)",
    ),
    _of_platform(
        "InvalidRequest",
        Place.ANY,
        passes=Passes.NO,
        means="AWS refuses a request as such; the message has its words.",
        remedy="change what it names in the object or its class",
    ),
    _of_platform(
        "QuotaExceeded",
        Place.ANY,
        means="A quota of the account is used up. The oldest object is first when there is room; the message tells "
        "the position.",
        remedy="delete what nobody needs, or have AWS raise the quota",
    ),
    _of_platform(
        "Contested",
        Place.ANY,
        passes=Passes.YES,
        means="Somebody undoes again and again what the operator does, which repairs it at growing intervals.",
        remedy="find out who does it: CloudTrail names the caller",
    ),
    _of_platform(
        "SecretConflict",
        Place.ANY,
        means="The name of the token's Secret is taken by one that is not the object's.",
        remedy="delete or rename that Secret, or the object",
    ),
    _of_author(
        "NotAllowed",
        Place.ANY,
        means="The class does not allow what the object asks for, such as a type of instances.",
        remedy="ask for something that the message names, or have the class allow it",
    ),
    _of_platform(
        "Throttled",
        Place.ANY,
        passes=Passes.YES,
        means="AWS refused a call for its rate six times in a row.",
        remedy="wait; where it lasts see the [runbook](runbooks.md#ephemeralendpointsthrottled)",
    ),
    _of_platform(
        "AwsUnavailable",
        Place.ANY,
        passes=Passes.YES,
        means="AWS failed or did not answer.",
        remedy="wait; where it lasts see the [runbook](runbooks.md#ephemeralendpointsawsfailing)",
    ),
    _of_platform(
        "NotFound",
        Place.ANY,
        means="Something that a call names does not exist, such as a role or a bucket.",
        remedy="make what the message names, or correct its name",
    ),
    _passing("AlreadyExists", Place.ANY, means="A name is taken, mostly by an earlier attempt of the operator."),
    _passing("InProgress", Place.ANY, means="AWS is busy with an earlier change of the same thing."),
)

CATALOGUE: Final[tuple[Told, ...]] = (*_READY, *_IMAGE, *_ENDPOINT, *_ROUTE, *_REST, *_ANY)
"""All of them, each once."""
