import re
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.engine.objects import CLUSTER, endpoint, make_class, merged

from ephemeral_endpoints.api import APPROVED_ANNOTATION, FORMER_APPROVAL, HEAD_ANNOTATION
from ephemeral_endpoints.api.v1alpha1.builder_images import BUILDKIT
from ephemeral_endpoints.api.v1alpha1.endpoint import EphemeralEndpoint
from ephemeral_endpoints.api.v1alpha1.endpoint_class import EphemeralEndpointClass
from ephemeral_endpoints.api.v1alpha1.image_build import Platform
from ephemeral_endpoints.features.images.approvals import build_digest
from ephemeral_endpoints.features.images.builds.policy import BuildTarget, Commit, Copy, Tenant, Trust
from ephemeral_endpoints.features.images.policy import platform_of, refusal, target_of
from ephemeral_endpoints.features.images.reasons import ImageProblem
from ephemeral_endpoints.features.images.references import ImageState
from ephemeral_endpoints.features.subject import Subject

SHA = "6dcd4ce23d88e2ee9568ba546c007c63d9131c1b"
BUILDS: Mapping[str, Any] = {"codeBuild": {"project": "previews"}, "allowTags": True}
FORK = {"headRepository": "mallory/sentiment"}
DIGEST = "60dea27e906d595eba59223f30d591f769c4b00aa6a53051083746bb8222aa9a"
"""By which the fork's commit is approved, built with the defaults: it must stay the same, or approvals are lost."""


def built(build: Mapping[str, Any] | None = None, source: Mapping[str, Any] | None = None, **metadata: Any) -> Any:  # noqa: ANN401 - any member
    spec = {"source": {"revision": SHA, **(source or {})}, "model": {"image": None, "build": build or {}}}
    return endpoint({"spec": spec, "metadata": metadata})


def building_class(images: Mapping[str, Any] | None = None, **builds: Any) -> Any:  # noqa: ANN401 - any member
    return make_class({"spec": {"builds": merged(BUILDS, builds), "images": images or {}}})


def approved(digest: str) -> dict[str, str]:
    return {APPROVED_ANNOTATION: digest}


def digest_asked_for(found: ImageState | None) -> str:
    assert found is not None
    assert found.problem is ImageProblem.UNAPPROVED
    asked = re.search("[0-9a-f]{64}$", found.message)
    assert asked
    return asked[0]


def wanted_target(endpoint: EphemeralEndpoint, endpoint_class: EphemeralEndpointClass) -> BuildTarget | None:
    return target_of(Subject(CLUSTER, endpoint, endpoint_class))


def test_what_somebody_pushes_is_not_made() -> None:
    assert wanted_target(endpoint(), building_class()) is None
    assert refusal(endpoint(), make_class()) is None


def test_a_commit_is_fetched_from_where_the_class_says() -> None:
    build = {"context": "models", "arguments": {"B": "2", "A": "1"}, "secrets": ["pip"]}
    target = wanted_target(built(build), building_class(gitUrl="https://git.acme.dev", secrets={"pip": "builds/pip"}))
    assert target is not None
    assert target.origin == Commit(
        location="https://git.acme.dev/acme/sentiment.git",
        revision=SHA,
        context="models",
        arguments=(("A", "1"), ("B", "2")),
        secrets=(("pip", "builds/pip"),),
        trust=Trust.OWN,
    )
    assert target.platform == "linux/amd64"


def test_a_commit_of_a_fork_is_fetched_from_the_fork() -> None:
    target = wanted_target(built(source=FORK), building_class())
    assert target is not None
    assert isinstance(target.origin, Commit)
    assert target.origin.location == "https://github.com/mallory/sentiment.git"
    assert target.origin.base == "https://github.com/acme/sentiment.git"


@pytest.mark.parametrize(
    ("source", "builds", "trust"),
    [
        pytest.param({}, {}, Trust.OWN, id="of the repository itself"),
        pytest.param({}, {"approveAll": True}, Trust.APPROVED, id="of the repository, and all are approved"),
        pytest.param(FORK, {}, Trust.APPROVED, id="of a fork, which is approved by default"),
        pytest.param(FORK, {"forks": "Build"}, Trust.FORK, id="of a fork that nobody approves"),
        pytest.param(
            FORK, {"forks": "Build", "approveAll": True}, Trust.APPROVED, id="of a fork, and all are approved"
        ),
        pytest.param(FORK, {"forks": "Refuse"}, Trust.APPROVED, id="approved, until the class refused forks"),
        pytest.param({"headRepository": "ACME/sentiment"}, {}, Trust.OWN, id="GitHub ignores the case"),
    ],
)
def test_why_a_commit_is_built_is_a_matter_of_the_class(
    source: Mapping[str, Any], builds: Mapping[str, Any], trust: Trust
) -> None:
    target = wanted_target(built(source=source), building_class(**builds))
    assert target is not None
    assert isinstance(target.origin, Commit)
    assert target.origin.trust is trust


def test_an_image_is_for_the_class_and_the_namespace_of_the_object() -> None:
    mine, theirs = (wanted_target(built(namespace=each), building_class()) for each in ("previews", "mallory"))
    assert mine is not None
    assert theirs is not None
    assert mine.tenant == Tenant(building_class().metadata.uid, "previews")
    assert mine.image != theirs.image


def test_an_image_keeps_its_name_when_its_class_stops_building() -> None:
    before, after = (wanted_target(built(), each) for each in (building_class(), make_class()))
    assert before is not None
    assert before == after


def test_a_commit_of_a_subgroup_is_fetched_from_its_whole_path() -> None:
    source = {"repository": "group/sub/project", "revision": SHA}
    target = wanted_target(built(source=source), building_class(gitUrl="https://gitlab.com"))
    assert target is not None
    assert isinstance(target.origin, Commit)
    assert target.origin.location == "https://gitlab.com/group/sub/project.git"


@pytest.mark.parametrize(
    ("git_url", "repository", "url"),
    [
        pytest.param("https://github.com", "acme/x", "https://github.com/acme/x.git", id="GitHub"),
        pytest.param("https://gitlab.com", "acme/nlp/x", "https://gitlab.com/acme/nlp/x.git", id="GitLab"),
        pytest.param("https://bitbucket.org", "acme/x", "https://bitbucket.org/acme/x.git", id="Bitbucket"),
        pytest.param(
            "https://git.acme.dev/scm", "~ada/x", "https://git.acme.dev/scm/~ada/x.git", id="Bitbucket Data Center"
        ),
        pytest.param("https://codeberg.org", "acme/x", "https://codeberg.org/acme/x.git", id="Forgejo, Gitea"),
        pytest.param("https://github.com", "acme/x.git", "https://github.com/acme/x.git", id="it is named so"),
        pytest.param(
            "https://dev.azure.com", "acme/nlp/_git/x", "https://dev.azure.com/acme/nlp/_git/x", id="Azure DevOps"
        ),
        pytest.param(
            "https://acme.visualstudio.com/nlp",
            "_git/x",
            "https://acme.visualstudio.com/nlp/_git/x",
            id="Azure DevOps at its former host",
        ),
        pytest.param(
            "https://git-codecommit.eu-central-1.amazonaws.com/v1",
            "repos/x",
            "https://git-codecommit.eu-central-1.amazonaws.com/v1/repos/x",
            id="CodeCommit",
        ),
        pytest.param(
            "https://git-codecommit-fips.us-east-1.amazonaws.com/v1",
            "repos/x",
            "https://git-codecommit-fips.us-east-1.amazonaws.com/v1/repos/x",
            id="CodeCommit's FIPS endpoint",
        ),
        pytest.param("https://git.acme.dev", "my_git/x", "https://git.acme.dev/my_git/x.git", id="another segment"),
    ],
)
def test_a_repository_is_cloned_at_the_url_that_its_host_knows(git_url: str, repository: str, url: str) -> None:
    source = {"repository": repository, "revision": SHA}
    target = wanted_target(built(source=source), building_class(gitUrl=git_url))
    assert target is not None
    assert isinstance(target.origin, Commit)
    assert target.origin.location == url


@pytest.mark.parametrize("repository", ["acme/nlp/_git/x", "acme/nlp/_git/x.git"])
@pytest.mark.parametrize(
    "builder",
    [{"codeBuild": {"project": "previews"}}, {"job": {"namespace": "builds", "serviceAccountName": "builder"}}],
    ids=["CodeBuild", "Jobs"],
)
def test_only_jobs_need_a_url_that_buildkit_takes_for_one_of_git(repository: str, builder: Mapping[str, Any]) -> None:
    policy = {"codeBuild": None, "gitUrl": "https://dev.azure.com", **builder}
    refused = refusal(built(source={"repository": repository, "revision": SHA}), building_class(**policy))
    is_fetched = "codeBuild" in builder or repository.endswith(".git")
    assert (refused is None) is is_fetched
    if refused:
        assert refused.problem is ImageProblem.NOT_BUILT
        assert "https://dev.azure.com/acme/nlp/_git/x: ask the platform team" in refused.message


def test_a_copy_is_of_the_image_that_is_named() -> None:
    spec = {"source": {"revision": SHA}, "model": {"image": None, "copy": {"image": "quay.io/acme/model:1"}}}
    target = wanted_target(endpoint({"spec": spec}), building_class())
    assert target is not None
    assert target.origin == Copy("quay.io/acme/model:1", SHA)


@pytest.mark.parametrize(
    ("type_", "platform"),
    [
        pytest.param(None, Platform.AMD64, id="serverless"),
        pytest.param("ml.m5.large", Platform.AMD64, id="Intel"),
        pytest.param("ml.g4dn.xlarge", Platform.AMD64, id="a GPU, and no Graviton"),
        pytest.param("ml.c7g.large", Platform.ARM64, id="Graviton"),
        pytest.param("ml.m6gd.large", Platform.ARM64, id="Graviton with disks"),
        pytest.param("ml.g5g.xlarge", Platform.ARM64, id="Graviton with a GPU"),
        pytest.param("ml.p6e-gb200.36xlarge", Platform.ARM64, id="Grace beside the GPUs"),
        pytest.param("ml.p6-b200.48xlarge", Platform.AMD64, id="the same GPUs beside Intel"),
    ],
)
def test_what_an_instance_type_runs(type_: str | None, platform: Platform) -> None:
    serving = {"serving": {"instances": {"type": type_}}} if type_ else {}
    assert platform_of(endpoint({"spec": serving}).spec.serving) is platform


@pytest.mark.parametrize(
    ("obj", "of", "problem", "reported"),
    [
        pytest.param(built(), building_class(), None, "", id="a commit of the repository"),
        pytest.param(built(), make_class(), ImageProblem.NOT_BUILT, "set spec.builds of the class", id="no builder"),
        pytest.param(
            built({"secrets": ["x"]}), building_class(), ImageProblem.NOT_BUILT, "names x, but", id="another secret"
        ),
        pytest.param(
            built({"platform": "linux/arm64"}),
            building_class(),
            ImageProblem.OTHER_PLATFORM,
            "runs on linux/amd64",
            id="for what it is not served on",
        ),
        pytest.param(
            built(source=FORK), building_class(), ImageProblem.UNAPPROVED, DIGEST, id="a fork that nobody has read"
        ),
        pytest.param(built(source=FORK, annotations=approved(DIGEST)), building_class(), None, "", id="approved"),
        pytest.param(
            built(source=FORK, annotations=approved("a" * 64)),
            building_class(),
            ImageProblem.UNAPPROVED,
            "what is built has changed since it was approved: a person who may approve objects must review the commit "
            "and spec.model (`eep approve` shows both), and set the annotation "
            f"{APPROVED_ANNOTATION} to {DIGEST}",
            id="another build was approved",
        ),
        pytest.param(
            built(source=FORK, annotations={FORMER_APPROVAL: SHA}),
            building_class(),
            ImageProblem.UNAPPROVED,
            f"the annotation {FORMER_APPROVAL} covers the commit only, and no longer counts",
            id="an approval of the commit alone",
        ),
        pytest.param(
            built(source=FORK, annotations=approved(SHA)), building_class(), ImageProblem.UNAPPROVED, "", id="a SHA"
        ),
        pytest.param(
            built(source=FORK, annotations=approved(DIGEST[:32])),
            building_class(),
            ImageProblem.UNAPPROVED,
            "",
            id="half of the digest",
        ),
        pytest.param(built(source=FORK), building_class(forks="Build"), None, "", id="forks are trusted"),
        pytest.param(
            built(source=FORK, annotations=approved(DIGEST)),
            building_class(forks="Refuse"),
            ImageProblem.NOT_BUILT,
            "does not build forks",
            id="forks are refused whoever approves",
        ),
        pytest.param(
            built(source={"headRepository": "Acme/Sentiment"}),
            building_class(),
            None,
            "",
            id="the same repository, not a fork",
        ),
        pytest.param(
            built(), building_class(approveAll=True), ImageProblem.UNAPPROVED, "acme/sentiment", id="all need it"
        ),
    ],
)
def test_what_a_class_builds(obj: Any, of: Any, problem: ImageProblem | None, reported: str) -> None:  # noqa: ANN401
    found = refusal(obj, of)
    assert (found.problem if found else None) is problem
    assert reported in (found.message if found else "")


@pytest.mark.parametrize(
    ("build", "source", "builds"),
    [
        pytest.param({}, {"revision": "a" * 40}, {}, id="another commit"),
        pytest.param({}, {"headRepository": "mallory/other"}, {}, id="another repository"),
        pytest.param({}, {}, {"gitUrl": "https://git.acme.dev"}, id="another host"),
        pytest.param({"context": "models"}, {}, {}, id="another folder"),
        pytest.param({"dockerfile": "Dockerfile.gpu"}, {}, {}, id="another Dockerfile"),
        pytest.param({"target": "debug"}, {}, {}, id="another stage"),
        pytest.param({"arguments": {"INDEX": "https://pypi.example"}}, {}, {}, id="an argument"),
        pytest.param({"secrets": ["pip"]}, {}, {"secrets": {"pip": "builds/pip"}}, id="a secret"),
        pytest.param(
            {"arguments": {"HTTPS_PROXY": "http://mallory.example"}},
            {},
            {"allowedArguments": ["HTTPS_PROXY"]},
            id="an argument that the class allows",
        ),
    ],
)
def test_an_approval_covers_all_that_decides_what_runs(
    build: Mapping[str, Any], source: Mapping[str, Any], builds: Mapping[str, Any]
) -> None:
    before = digest_asked_for(refusal(built(source=FORK), building_class()))
    obj = built(build, {**FORK, **source}, annotations=approved(before))
    digest = digest_asked_for(refusal(obj, building_class(**builds)))
    assert digest != before
    again = built(build, {**FORK, **source}, annotations=approved(digest))
    assert refusal(again, building_class(**builds)) is None


def test_each_head_of_a_fork_that_is_followed_needs_an_approval_of_its_own() -> None:
    """The attack: a harmless commit is approved, and then another one is pushed to the pull request."""
    source = {**FORK, "pullRequest": 42, "follow": True}
    harmless = built(source=source, annotations=approved(DIGEST))
    assert refusal(harmless, building_class()) is None
    pushed = {HEAD_ANNOTATION: f"{SHA}={'d' * 40}"}
    moved = built(source=source, annotations={**approved(DIGEST), **pushed})
    digest = digest_asked_for(refusal(moved, building_class()))
    assert digest != DIGEST
    target = wanted_target(moved, building_class())
    assert target
    assert isinstance(target.origin, Commit)
    assert target.origin.revision == "d" * 40, "what is approved is what is built"
    again = built(source=source, annotations={**approved(digest), **pushed})
    assert refusal(again, building_class()) is None


def test_an_approval_is_for_one_platform() -> None:
    arm = endpoint(
        {
            "spec": {
                "source": {"revision": SHA, **FORK},
                "model": {"image": None, "build": {"platform": "linux/arm64"}},
                "serving": {"instances": {"type": "ml.c7g.large"}},
            },
            "metadata": {"annotations": approved(DIGEST)},
        }
    )
    found = refusal(arm, building_class())
    assert found is not None
    assert found.problem is ImageProblem.UNAPPROVED


def test_a_secret_that_the_class_keeps_elsewhere_needs_another_approval() -> None:
    obj = built({"secrets": ["pip"]}, FORK)
    messages = {refusal(obj, building_class(secrets={"pip": name})) for name in ("builds/pip", "builds/admin")}
    assert len(messages) == 2


TEXT = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=8)
PAIRS = st.dictionaries(TEXT, TEXT, max_size=3).map(lambda pairs: tuple(sorted(pairs.items())))
COMMITS = st.builds(Commit, TEXT, TEXT, TEXT, TEXT, st.none() | TEXT, PAIRS, PAIRS)


@given(COMMITS, COMMITS, st.sampled_from(Platform), st.sampled_from(Platform))
def test_only_equal_builds_have_equal_digests(one: Commit, other: Commit, first: Platform, second: Platform) -> None:
    is_same = build_digest(one, first) == build_digest(other, second)
    assert is_same == ((one, first) == (other, second))


@pytest.mark.parametrize(
    ("arguments", "builds", "reported"),
    [
        pytest.param({"BUILDKIT_SYNTAX": "mallory/frontend"}, {}, "the frontend 'mallory/frontend'", id="a frontend"),
        pytest.param(
            {"BUILDKIT_SYNTAX": "  mallory/x acme/ok"}, {"allowedFrontends": ["acme/*"]}, "mallory/x", id="blanks"
        ),
        pytest.param({"BUILDKIT_SYNTAX": "acme/ok:1 --x"}, {"allowedFrontends": ["acme/*"]}, None, id="allowed"),
        pytest.param(
            {"BUILDKIT_SYNTAX": "mallory/x"},
            {"allowedArguments": ["BUILDKIT_SYNTAX"]},
            "allowedFrontends",
            id="which no list of arguments allows",
        ),
        pytest.param({"BUILDKIT_CACHE_MOUNT_NS": "victim"}, {}, "BUILDKIT_CACHE_MOUNT_NS", id="a cache of others"),
        pytest.param({"BUILDKIT_CONTEXT_KEEP_GIT_DIR": "1"}, {}, "BUILDKIT_CONTEXT", id="the configuration of Git"),
        pytest.param({"BUILDKIT_ATTEST_SBOM": "generator=x"}, {}, "BUILDKIT_ATTEST_SBOM", id="another image that runs"),
        pytest.param({"BUILDKIT_OF_TOMORROW": "1"}, {}, "BUILDKIT_OF_TOMORROW", id="one that is not known yet"),
        pytest.param({"https_proxy": "http://x"}, {}, "https_proxy", id="a proxy"),
        pytest.param({"All_Proxy": "http://x"}, {}, "All_Proxy", id="which BuildKit takes in any case"),
        pytest.param({"NO_PROXY": "*"}, {}, "NO_PROXY", id="the class's proxy is gone round"),
        pytest.param({"FTP_PROXY": "x", "HTTP_PROXY": "x"}, {}, "FTP_PROXY, HTTP_PROXY", id="all are named"),
        pytest.param({"SOURCE_DATE_EPOCH": "1"}, {}, "SOURCE_DATE_EPOCH", id="the time of files"),
        pytest.param({"TARGETPLATFORM": "linux/arm64"}, {}, "TARGETPLATFORM", id="another platform"),
        pytest.param({"HTTP_PROXY": "x"}, {"allowedArguments": ["HTTP_PROXY"]}, None, id="an allowed one"),
        pytest.param({"http_proxy": "x"}, {"allowedArguments": ["HTTP_PROXY"]}, "http_proxy", id="as it is written"),
        pytest.param({"MY_PROXY": "x", "TARGET": "y", "EPOCH": "z"}, {}, None, id="the author's own"),
    ],
)
def test_arguments_that_buildkit_reads_are_the_classs_to_allow(
    arguments: Mapping[str, str], builds: Mapping[str, Any], reported: str | None
) -> None:
    found = refusal(built({"arguments": arguments}), building_class(**builds))
    assert (found.problem if found else None) is (ImageProblem.NOT_BUILT if reported else None)
    assert (reported or "") in (found.message if found else "")


PINNED = f"registry.example/buildkit:v1@sha256:{'a' * 64}"
JOB = {"namespace": "builds", "serviceAccountName": "builder"}
ALL_PINNED = {**JOB, "image": PINNED, "copyImage": PINNED, "credentialsImage": PINNED}


@pytest.mark.parametrize(
    ("builds", "refused"),
    [
        pytest.param({"codeBuild": {"project": "p1", "image": PINNED, "copyImage": PINNED}}, (), id="a digest"),
        pytest.param(
            {"codeBuild": {"project": "p1", "image": "registry.example/buildkit:v1", "copyImage": PINNED}},
            ("registry.example/buildkit:v1",),
            id="a tag, which may be another image tomorrow",
        ),
        pytest.param({"codeBuild": {"project": "p1", "image": "a.example/b:1"}, "allowTags": True}, (), id="accepted"),
        pytest.param(
            {"job": {**ALL_PINNED, "credentialsImage": "a.example/aws:2"}},
            ("a.example/aws:2",),
            id="the image that has the role of AWS",
        ),
        pytest.param(
            {"job": {**ALL_PINNED, "image": f"a.example/b@sha256:{'a' * 63}"}},
            (f"a.example/b@sha256:{'a' * 63}",),
            id="half a digest",
        ),
        pytest.param(
            {"job": {**ALL_PINNED, "copyImage": "a.example/skopeo:1"}},
            ("a.example/skopeo:1",),
            id="the image that has the password to push",
        ),
        pytest.param({"job": ALL_PINNED}, (), id="all by digest"),
    ],
)
@pytest.mark.parametrize("model", [{"build": {}}, {"copy": {"image": "quay.io/acme/model:1"}}])
def test_what_holds_passwords_runs_by_digest_only(
    model: Mapping[str, Any], builds: Mapping[str, Any], refused: tuple[str, ...]
) -> None:
    obj = endpoint({"spec": {"source": {"revision": SHA}, "model": {"image": None, **model}}})
    of = make_class({"spec": {"builds": builds, "images": {"allowedSources": ["quay.io/acme/*"]}}})
    found = refusal(obj, of)
    assert (found.problem if found else None) is (ImageProblem.NOT_BUILT if refused else None)
    assert f"which can move: {', '.join(refused)};" in (found.message if found else "which can move: ;")


def test_the_images_that_a_class_builds_with_by_default_are_pinned_or_refused() -> None:
    found = refusal(built(), make_class({"spec": {"builds": {"codeBuild": {"project": "previews"}}}}))
    assert (found is None) == ("@sha256:" in BUILDKIT)


@pytest.mark.parametrize(
    ("image", "allowed", "problem"),
    [
        pytest.param("quay.io/acme/model:1", ["quay.io/acme/*"], None, id="allowed"),
        pytest.param(f"quay.io/acme/model:1@sha256:{'a' * 64}", ["quay.io/acme/model"], None, id="by its name"),
        pytest.param("quay.io:443/acme/model:1", ["quay.io:443/acme/*"], None, id="with a port"),
        pytest.param("quay.io/mallory/model:1", ["quay.io/acme/*"], ImageProblem.NOT_ALLOWED, id="another one"),
        pytest.param("quay.io/acme/model:1", [], ImageProblem.NOT_ALLOWED, id="none is"),
    ],
)
def test_what_a_class_copies(image: str, allowed: list[str], problem: ImageProblem | None) -> None:
    spec = {"model": {"image": None, "copy": {"image": image}}}
    found = refusal(endpoint({"spec": spec}), building_class({"allowedSources": allowed}))
    assert (found.problem if found else None) is problem
