"""`pip` and `ensurepip` of the base image: they install with uv, which the builder lends to commands.

The base image has this file as its module `ensurepip`, so it imports nothing but the standard library.
"""

import os
import site
import sys
from pathlib import Path

UV = "/usr/local/libexec/eep/uv"
"""Where a command finds uv."""

_CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"
_WITHOUT_EFFECT = frozenset(
    {"--no-cache-dir", "--no-input", "--no-warn-script-location", "--disable-pip-version-check", "--user"}
    | {"--prefer-binary", "--no-color", "--force-reinstall", "-I", "--ignore-installed"}
)
_WITHOUT_EFFECT_AND_VALUE = frozenset(
    {"--root-user-action", "--progress-bar", "--retries", "--timeout", "--default-timeout", "--cache-dir"}
)
_COMMANDS = frozenset({"install", "uninstall", "list", "freeze", "show", "check"})
_SETTINGS = {"PIP_INDEX_URL": "UV_INDEX_URL", "PIP_EXTRA_INDEX_URL": "UV_EXTRA_INDEX_URL"}
_START = "import sys\nfrom ensurepip import main\nsys.exit(main(sys.argv[1:]))\n"


def put(stdlib: Path, programs: Path, interpreter: str) -> None:
    """Write the module into a standard library, and `pip` beside it for an interpreter (its path in the image)."""
    module = stdlib / "ensurepip"
    module.mkdir()
    (module / "__init__.py").write_text(Path(__file__).read_text(encoding="utf-8"), encoding="utf-8")
    (module / "__main__.py").write_text("from ensurepip import install\ninstall()\n", encoding="utf-8")
    _put_pip(stdlib / "site-packages", programs, interpreter)


def install() -> None:
    """Write `pip` for the running interpreter, as `python -m venv` asks for."""
    _put_pip(Path(site.getsitepackages()[0]), Path(sys.prefix, "bin"), sys.executable)


def _put_pip(packages: Path, programs: Path, interpreter: str) -> None:
    (packages / "pip").mkdir(parents=True, exist_ok=True)
    (packages / "pip" / "__init__.py").write_text("")
    (packages / "pip" / "__main__.py").write_text(_START)
    for name in ("pip", "pip3"):
        (programs / name).write_text(f"#!{interpreter}\n{_START}")
        (programs / name).chmod(0o755)


def main(arguments: list[str]) -> int:
    """Run as the program `pip`; returns its exit status."""
    if not Path(UV).exists():
        return _fail("packages can be installed by RUN only, not in a running container")
    if arguments[:1] in (["--version"], ["-V"]):
        return os.spawnv(os.P_WAIT, UV, [UV, "--version"])  # noqa: S606 (a fixed program)
    if not arguments or arguments[0] not in _COMMANDS:
        return _fail(f"the embedded platform has only pip {', '.join(sorted(_COMMANDS))}: not {' '.join(arguments)}")
    command, *rest = arguments
    words = translated(rest)
    if command == "install":
        if not [word for word in words if not word.startswith("-")]:
            return 0  # pip alone, which is never replaced
        words += ["--no-cache", "--link-mode=copy"]
        words += [] if "--no-compile" in words else ["--compile-bytecode"]
        words = [word for word in words if word != "--no-compile"]
    words = [word for word in words if word not in {"-y", "--yes"}]
    settings = {ours: os.environ[theirs] for theirs, ours in _SETTINGS.items() if theirs in os.environ}
    if Path(_CERTIFICATES).exists():
        settings["SSL_CERT_FILE"] = _CERTIFICATES
    # Times are no part of a layer, so compiled files must not depend on them: https://peps.python.org/pep-0552/.
    settings["PYC_INVALIDATION_MODE"] = "UNCHECKED_HASH"
    argv = [UV, "pip", command, "--python", sys.executable, *words]
    return os.spawnve(os.P_WAIT, UV, argv, {**os.environ, **settings})  # noqa: S606 (a fixed program)


def translated(arguments: list[str]) -> list[str]:
    """The arguments of pip for uv: without those that change nothing here, and without pip itself."""
    words: list[str] = []
    is_value = False
    for word in arguments:
        name = word.partition("=")[0]
        if is_value or word in _WITHOUT_EFFECT or name in _WITHOUT_EFFECT_AND_VALUE:
            is_value = word in _WITHOUT_EFFECT_AND_VALUE
        elif name == "pip" and not (words and words[-1] in {"-r", "-c", "-t", "--target", "--requirement"}):
            sys.stderr.write("pip is not replaced: the embedded platform installs with uv\n")
        else:
            words.append(word)
    return words


def _fail(message: str) -> int:
    sys.stderr.write(f"pip: {message}\n")
    return 1
