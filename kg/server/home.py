"""Can the home folder be used, and what does it mean when the disk says no?"""

import errno
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from kg.errors import ServiceError
from kg.settings import Settings

__all__ = [
    "disk_errors",
    "one_at_a_time",
    "prepare_home",
    "require_free_mib",
    "run_dir",
    "secret_file",
    "write_private",
]

_MEANINGS = {
    errno.ENOSPC: "the disk is full; free some space, or set {variable} to a folder on another disk",
    errno.EDQUOT: "the disk quota is used up; free some space, or set {variable} to a folder on another disk",
    errno.EROFS: "it is not writable; set {variable} to a folder that you may write to",
    errno.EACCES: "it is not writable; set {variable} to a folder that you may write to",
    errno.EPERM: "it is not writable; set {variable} to a folder that you may write to",
    errno.ENAMETOOLONG: "the path is too long; set {variable} to a shorter one",
    errno.ENOTDIR: "a part of the path is a file, not a folder; set {variable} to another one",
    errno.EEXIST: "a file of that name is in the way; set {variable} to another folder",
}


@contextmanager
def disk_errors(path: Path, variable: str = "KORVAI_HOME") -> Iterator[None]:
    """Turn the operating system's refusals under `path` into one line with the way out.

    Raises: ServiceError.
    """
    try:
        yield
    except OSError as error:
        way_out = _MEANINGS.get(error.errno or 0, "{reason}; set {variable} to another folder")
        reason = error.strerror or str(error)
        raise ServiceError(f"cannot write to {path}: {way_out.format(variable=variable, reason=reason)}") from error


def prepare_home(settings: Settings) -> Path:
    """The home folder, made if need be and proven writable.

    Raises: ServiceError when it cannot be made or written to.
    """
    home = settings.home_dir
    with disk_errors(home):
        for folder in (home, home / "run", home / "logs"):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        probe = home / "run" / f".probe-{os.getpid()}"
        probe.write_bytes(b"korvai")
        probe.unlink()
    return home


def require_free_mib(folder: Path, needed_mib: int, *, purpose: str, variable: str = "KORVAI_HOME") -> None:
    """Refuse to begin what would fill the disk half-way.

    Raises: ServiceError when less than `needed_mib` is free.
    """
    free_mib = shutil.disk_usage(folder).free // 2**20
    if free_mib < needed_mib:
        raise ServiceError(
            f"{purpose} needs {needed_mib} MiB and {folder} has {free_mib} MiB free; "
            f"free some space, or set {variable} to a folder on another disk"
        )


def run_dir(settings: Settings) -> Path:
    """Where pid files, locks and addresses of running services are."""
    return settings.home_dir / "run"


def secret_file(path: Path) -> str:
    """The secret kept in `path`, generated on first use; only its owner may read it."""
    if not path.exists():
        # Hexadecimal: one in 64 of the URL-safe ones begins with "-", which neo4j-admin reads as an option.
        write_private(path, secrets.token_hex(24) + "\n")
    return path.read_text(encoding="utf-8").strip()


def write_private(path: Path, text: str) -> None:
    """Write `text` to `path` so that it is whole or absent, and readable by its owner only."""
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
                stream.write(text)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)


@contextmanager
def one_at_a_time(settings: Settings, name: str, *, wait_s: float = 300.0) -> Iterator[None]:
    """Hold the home's lock of service `name`, so that two starts or stops do not cross.

    Raises: ServiceError when another process holds it for longer than `wait_s`.
    """
    path = run_dir(settings) / f"{name}.lock"
    try:
        with FileLock(path, timeout=wait_s):
            yield
    except Timeout as error:
        raise ServiceError(
            f"another korvai process has been busy with {name} for {wait_s:.0f} s ({path}); wait for it, or end it"
        ) from error
