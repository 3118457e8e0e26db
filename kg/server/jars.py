"""Where do Neo4j's jars come from, and are they all here and unharmed?

`neo4j.lock` names every jar with its SHA-256, so nothing has to be resolved and nothing else can slip in. The jars are
fetched from the Maven repository that jgo is configured for, into a cache that all homes share. A marker file, written
last, says that the set is complete; an interrupted download goes on where it was.
"""

import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import platformdirs
from filelock import FileLock

from kg.errors import ServiceError
from kg.progress import Reporter
from kg.server.home import disk_errors, require_free_mib
from kg.settings import Settings

if TYPE_CHECKING:
    from jgo.maven import MavenContext

__all__ = ["NEO4J_VERSION", "ROOTS", "Jar", "ensure_jars", "jar_set", "locked_jars", "write_lock"]

NEO4J_VERSION = "5.26.18"
ROOTS = {
    "lib": (f"org.neo4j:neo4j:{NEO4J_VERSION}", "org.neo4j.client:neo4j-browser:5.24.0"),
    "plugins": (f"org.neo4j.procedure:apoc-core:{NEO4J_VERSION}", f"org.neo4j.procedure:apoc-common:{NEO4J_VERSION}"),
}
"""What the lock was resolved from, by the folder that the jars go to."""

_LOCK = Path(__file__).with_name("neo4j.lock")
_CONNECTIONS = 8
_NEEDED_MIB = 200
_WAY_OUT = "check the network or jgo's Maven settings (jgo.conf), then run `korvai up` again"


@dataclass(frozen=True)
class Jar:
    """One line of the lock."""

    folder: str
    coordinate: str
    size_bytes: int
    sha256: str

    @property
    def file_name(self) -> str:
        """Its name on disk: artifact-version[-classifier].jar."""
        return "-".join(self.coordinate.split(":")[1:]) + ".jar"


def locked_jars() -> tuple[Jar, ...]:
    """All jars that Neo4j with Browser and APOC is made of."""
    rows = (line.split() for line in _LOCK.read_text(encoding="utf-8").splitlines() if not line.startswith("#"))
    return tuple(Jar(folder, coordinate, int(size), digest) for folder, coordinate, size, digest in rows)


def jar_set(settings: Settings) -> Path:
    """The folder of this lock's jars: in the user's cache, shared by all homes; in the home where there is no cache."""
    digest = hashlib.sha256(_LOCK.read_bytes()).hexdigest()[:8]
    return _cache_root(settings) / f"neo4j-{NEO4J_VERSION}-{digest}"


def ensure_jars(settings: Settings, reporter: Reporter) -> Path:
    """The folder with `lib/` and `plugins/`, downloading what is missing.

    Raises: ServiceError when the repository cannot be reached, a jar is not what the lock says, or the disk is full.
    """
    folder = jar_set(settings)
    if _complete(folder):
        return folder
    with disk_errors(folder, "KORVAI_JARS"):
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / ".lock"):
            if not _complete(folder):
                _fetch_missing(folder, reporter)
                (folder / "complete").write_text(f"{len(locked_jars())} jars\n", encoding="utf-8")
    return folder


def write_lock(reporter: Reporter) -> None:
    """Resolve ROOTS anew and write the lock (for maintainers, when a version is raised)."""
    context = _context()
    seen: set[str] = set()
    lines = []
    for folder, coordinates in ROOTS.items():
        # What the server brings already must not come a second time, in another version, with the plugins.
        resolved = [c for c in _resolve(context, coordinates) if _key(c) not in seen]
        seen.update(map(_key, resolved))
        lines += _lock_lines(context, folder, resolved, reporter)
    header = "# folder coordinate bytes sha256; written by `python -m kg.server.jars` from the ROOTS named there\n"
    _LOCK.write_text(header + "\n".join(lines) + "\n", encoding="utf-8")


def _cache_root(settings: Settings) -> Path:
    if settings.jars is not None:
        return settings.jars.expanduser().absolute()
    shared = Path(platformdirs.user_cache_path("korvai")) / "jars"
    try:
        shared.mkdir(parents=True, exist_ok=True)
    except OSError:
        return settings.home_dir / "jars"
    return shared if os.access(shared, os.W_OK) else settings.home_dir / "jars"


def _complete(folder: Path) -> bool:
    # The marker alone would not notice a jar that somebody cleaned away since.
    return (folder / "complete").exists() and all(_present(folder, jar) for jar in locked_jars())


def _fetch_missing(folder: Path, reporter: Reporter) -> None:
    missing = [jar for jar in locked_jars() if not _present(folder, jar)]
    require_free_mib(folder, _NEEDED_MIB, purpose="fetching Neo4j's jars", variable="KORVAI_JARS")
    context = _context()
    with reporter.stage("fetching Neo4j's jars", total=len(locked_jars()), unit="jar") as advance:
        advance(len(locked_jars()) - len(missing))
        for _ in _each_in_parallel(lambda jar: _fetch(context, folder, jar), missing):
            advance(1)


def _each_in_parallel(work: Callable[[Jar], None], jars: list[Jar]) -> Iterator[None]:
    with ThreadPoolExecutor(_CONNECTIONS) as pool:
        tasks = [pool.submit(work, jar) for jar in sorted(jars, key=lambda jar: -jar.size_bytes)]
        try:
            for task in as_completed(tasks):
                yield task.result()
        finally:
            pool.shutdown(cancel_futures=True)


def _present(folder: Path, jar: Jar) -> bool:
    # A jar gets its name only after its hash was checked; the size is enough to notice damage done later.
    path = folder / jar.folder / jar.file_name
    return path.exists() and path.stat().st_size == jar.size_bytes


def _fetch(context: "MavenContext", folder: Path, jar: Jar) -> None:
    target = folder / jar.folder / jar.file_name
    part = target.with_suffix(".part")
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        if not _copy_from_maven_cache(context, jar, part):
            _download(context, jar, part)
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


def _copy_from_maven_cache(context: "MavenContext", jar: Jar, part: Path) -> bool:
    """Whether a jar that Maven or jgo fetched before could be taken."""
    cached = _artifact(context, jar.coordinate).cached_path
    if cached is None or not cached.exists() or cached.stat().st_size != jar.size_bytes:
        return False
    shutil.copyfile(cached, part)
    return _sha256(part) == jar.sha256


def _download(context: "MavenContext", jar: Jar, part: Path) -> None:
    refusals = []
    for name, address in context.remote_repos.items():
        problem = _download_from(f"{address.rstrip('/')}/{_remote_path(context, jar)}", part, jar)
        if problem is None:
            return
        refusals.append(f"{name}: {problem}")
    raise ServiceError(f"cannot fetch {jar.coordinate} ({'; '.join(refusals)}); {_WAY_OUT}")


def _download_from(url: str, part: Path, jar: Jar) -> str | None:
    """What went wrong, or None."""
    import requests
    from jgo.util import http

    try:
        with http.get(url, stream=True, timeout=30) as response, part.open("wb") as stream:
            if response.status_code != requests.codes.ok:
                return f"the repository answered {response.status_code}"
            for chunk in response.iter_content(chunk_size=1 << 18):
                stream.write(chunk)
    except requests.RequestException as error:
        return f"the repository cannot be reached ({type(error).__name__})"
    return None if _sha256(part) == jar.sha256 else "what came is not the file that the lock names"


def _context() -> "MavenContext":
    from jgo.config import GlobalSettings
    from jgo.maven import MavenContext

    configured = GlobalSettings.load()
    context = MavenContext(repo_cache=configured.repo_cache)
    context.remote_repos.update(configured.repositories)
    return context


def _artifact(context: "MavenContext", coordinate: str):
    group, artifact, version, *classifier = coordinate.split(":")
    return context.project(group, artifact).at_version(version).artifact(*classifier)


def _remote_path(context: "MavenContext", jar: Jar) -> str:
    artifact = _artifact(context, jar.coordinate)
    return f"{artifact.component.path_prefix.as_posix()}/{artifact.filename}"


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _key(coordinate: str) -> str:
    """The coordinate without its version: two versions of one jar must not meet on the class path."""
    group, artifact, _version, *classifier = coordinate.split(":")
    return ":".join((group, artifact, *classifier))


def _resolve(context: "MavenContext", coordinates: tuple[str, ...]) -> list[str]:
    wanted, transitive = context.resolver.resolve([context.create_dependency(c) for c in coordinates])
    named = ((d.groupId, d.artifactId, d.version, d.classifier) for d in wanted + transitive)
    return [":".join(filter(None, parts)) for parts in named]


def _lock_lines(context: "MavenContext", folder: str, coordinates: list[str], reporter: Reporter) -> Iterator[str]:
    with reporter.stage(f"locking {folder}", total=len(coordinates), unit="jar") as advance:
        for coordinate in sorted(coordinates):
            path = _artifact(context, coordinate).resolve()
            yield f"{folder} {coordinate} {path.stat().st_size} {_sha256(path)}"
            advance(1)


if __name__ == "__main__":
    from kg.progress import SilentReporter

    write_lock(SilentReporter())
