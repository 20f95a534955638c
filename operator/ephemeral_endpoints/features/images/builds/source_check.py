"""What is checked between the checkout of a commit and its build, by a script for the shell of either builder. Pure.

The builders follow links: buildx opens a context and the Dockerfile's folder wherever they lead, and so would send the
builder's own files, such as its passwords for registries, to the build. And BuildKit runs whichever frontend the
Dockerfile names. So nothing of the commit is read before both are known.
"""

from typing import Final

from ephemeral_endpoints.features.images.builds.policy import Commit

REFUSED: Final = 65
"""The script's exit code for a commit that must not be built (EX_DATAERR of sysexits.h)."""

# One line, since CodeBuild logs commands as they are. It takes for a directive whatever BuildKit could, and more: any
# of the comments at the top, not only those before the first that is none, of both styles, and JSON, which no
# Dockerfile is. A zero byte would end what the shell reads of a line, but not what BuildKit reads:
# frontend/dockerfile/parser/directives.go of its repository.
CHECK: Final = " ".join(
    rf"""
set -euf; export LC_ALL=C;
refuse() {{ printf 'the commit cannot be built: %s\n' "$1" >&2; exit {REFUSED}; }};
resolved=$1 revision=$2 context=$3 dockerfile=$4; shift 4;
[ "$resolved" = "$revision" ] ||
  refuse "spec.source.revision is not the SHA of a commit but the name of a branch or tag, which can move: use
    $resolved";
path=$context/$dockerfile place=.; IFS=/;
for part in $path; do
  place=$place/$part;
  if [ "$part" = .. ] || [ -L "$place" ]; then
    refuse "$place is a symbolic link, which may lead out of the repository: name the real folder or file instead";
  fi;
done;
unset IFS;
file=./$path;
if [ ! -f "$file" ] || [ ! -r "$file" ]; then
  refuse "it has no file $path: correct spec.model.build.context or dockerfile";
fi;
bom=$(printf '\357\273\277');
tr '\000' '?' <"$file" | while IFS= read -r line || [ -n "$line" ]; do
  line=${{line#"$bom"}};
  case $line in
  '#'* | //*)
    case $line in *[sS][yY][nN][tT][aA][xX]*=*) ;; *) continue ;; esac;
    frontend=${{line#*=}};
    frontend=${{frontend#"${{frontend%%[![:space:]]*}}"}};
    frontend=${{frontend%% *}};
    frontend=${{frontend%"${{frontend##*[![:space:]]}}"}};
    for allowed in "$@"; do case $frontend in $allowed) continue 2 ;; esac; done;
    refuse "the class does not allow the frontend $frontend: remove the comment that names it from $path, or ask the
      platform team to add it to spec.builds.allowedFrontends of the class" ;;
  *[![:space:]]*)
    case ${{line#"${{line%%[![:space:]]*}}"}} in '{{'*) refuse "$path is no Dockerfile but JSON" ;; esac;
    break ;;
  esac;
done""".split()
)

FETCH: Final = f"""set -euf
umask 077
cd "$SOURCE"
case ${{#REVISION}} in 64) format=sha256 ;; *) format=sha1 ;; esac
git init --quiet --object-format="$format"
if [ -n "${{TOKEN:-}}" ]; then
  authorization=$(printf 'x-access-token:%s' "$(cat "$TOKEN")" | base64 | tr -d '\\n')
  export GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0="http.$HOST/.extraHeader"
  export GIT_CONFIG_VALUE_0="Authorization: Basic $authorization"
fi
git fetch --quiet --depth=1 --no-tags -- "$LOCATION" "$REVISION"
git checkout --quiet --detach FETCH_HEAD
set -- "$(git rev-parse HEAD)" "$@"
{CHECK}
"""
"""Fetches the commit first, where the builder checks out by itself. The token appears in no command line."""


def check_arguments(commit: Commit) -> list[str]:
    """The arguments of the scripts; before them ``CHECK`` takes the SHA that was checked out."""
    return [commit.revision, commit.context, commit.dockerfile, *commit.frontends]
