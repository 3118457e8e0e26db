"""How is the embedded Neo4j started, stopped and looked after?

A child process under HOME/neo4j with Browser and APOC, reachable from this machine only, with a password of its own.
Whatever happened to the last one (stopped, killed, machine switched off), `start` brings it back with its data.
"""

import base64
import http.client
import json
import subprocess
from collections.abc import Sequence
from pathlib import Path

from kg.errors import ServiceError
from kg.progress import Reporter
from kg.server import staging
from kg.server.connection import (
    Neo4jAddress,
    embedded_neo4j,
    neo4j_password_file,
    write_neo4j_ports,
)
from kg.server.embedded import on_free_ports, owns_port, start_once, stop_and_forget
from kg.server.home import disk_errors, one_at_a_time, prepare_home, run_dir, secret_file, write_private
from kg.server.jars import ensure_jars
from kg.server.java import class_path, java_binary, java_flags
from kg.server.ports import LOOPBACK, free_port
from kg.server.process import Launch, find, launch, telling_line
from kg.settings import Settings

__all__ = ["admin", "log_file", "start", "status", "stop"]

_START_TIMEOUT_S = 300.0
_ADMIN_HEAP_MIB = 1024
_NEEDED_MIB = 300


def start(settings: Settings, reporter: Reporter) -> Neo4jAddress:
    """Start the embedded server unless it runs already.

    Raises: ServiceError when home, jars, Java or the server itself fail.
    """

    def begin(found: tuple[Path, Path]) -> Neo4jAddress:
        _make_password(settings, *found)
        staging.finish(settings)
        return _start_on_free_ports(settings, *found)

    return start_once(
        settings,
        "neo4j",
        running=embedded_neo4j,
        prepare=lambda: (java_binary(), ensure_jars(settings, reporter)),
        begin=begin,
        needed_mib=_NEEDED_MIB,
        title="Neo4j",
        reporter=reporter,
    )


def stop(settings: Settings, *, grace_s: float = 60.0) -> bool:
    """Stop the embedded server and wait until its files are closed; False when it did not run."""
    return stop_and_forget(settings, "neo4j", grace_s=grace_s)


def status(settings: Settings) -> Neo4jAddress | None:
    """The address of the embedded server while it runs."""
    return embedded_neo4j(settings)


def admin(settings: Settings, args: Sequence[str], reporter: Reporter) -> str:
    """Run Neo4j's admin tool (`database import full …`, `database dump neo4j …`) on the stopped server's files.

    Returns what the tool printed.
    Raises: ServiceError when the server runs, or with the end of the tool's output when it fails.
    """
    prepare_home(settings)
    with one_at_a_time(settings, "neo4j"):
        if find(run_dir(settings), "neo4j") is not None:
            raise ServiceError(
                f"neo4j-admin {' '.join(args[:2])} needs the server stopped; run `korvai down --only neo4j` first"
            )
        jars = ensure_jars(settings, reporter)
        java = java_binary()
        _make_password(settings, java, jars)
        if staging.is_complete(settings):
            staging.finish(settings)
        _write_configuration(settings, jars, bolt=settings.neo4j_bolt_port, http=settings.neo4j_http_port)
        with reporter.stage(f"neo4j-admin {' '.join(args[:2])}"):
            return _run_admin_tool(settings, java, jars, args)


def log_file(settings: Settings) -> Path:
    """What the server tells people; Java's own complaints go there too."""
    return settings.home_dir / "logs" / "neo4j" / "neo4j.log"


def _start_on_free_ports(settings: Settings, java: Path, jars: Path) -> Neo4jAddress:
    def choose(avoid: tuple[int, ...]) -> tuple[int, int]:
        http_port = free_port(settings.neo4j_http_port, avoid=avoid)
        return http_port, free_port(settings.neo4j_bolt_port, avoid=(*avoid, http_port))

    def begin(http_port: int, bolt_port: int) -> Neo4jAddress | None:
        _write_configuration(settings, jars, bolt=bolt_port, http=http_port)
        _launch(settings, java, jars, http_port)
        write_neo4j_ports(settings, bolt=bolt_port, http=http_port)
        return embedded_neo4j(settings)

    address = on_free_ports(choose, begin)
    if address is None:
        raise ServiceError(f"Neo4j ended right after its start; its log is {log_file(settings)}")
    return address


def _launch(settings: Settings, java: Path, jars: Path, http_port: int) -> None:
    folder = settings.home_dir / "neo4j"
    argv = [
        str(java),
        *java_flags(heap_mib=settings.neo4j_heap_mib, quick_start=settings.environment == "test"),
        "-cp",
        class_path(jars),
        "org.neo4j.server.CommunityEntryPoint",
        f"--home-dir={folder}",
        f"--config-dir={folder / 'conf'}",
    ]
    launch(
        Launch(
            name="neo4j",
            argv=argv,
            run_dir=run_dir(settings),
            log_file=log_file(settings),
            ready=lambda: _answers(settings, http_port),
            timeout_s=_START_TIMEOUT_S,
            cwd=folder,
        )
    )


def _answers(settings: Settings, http_port: int) -> bool:
    """Whether a statement runs, as the user and on the database that everybody will use.

    Raises: ServiceError when the server refuses the password.
    """
    password_file = neo4j_password_file(settings)
    status = _http_statement(http_port, password_file.read_text(encoding="utf-8").strip())
    if status is not None and not owns_port(settings, "neo4j", http_port):
        return False  # another server's answer: ours is about to end because the port is taken, and tries the next one
    if status == http.client.UNAUTHORIZED:
        raise ServiceError(
            f"Neo4j under {settings.home_dir} refuses the password in {password_file}: it was changed elsewhere; "
            "write the current one into that file and run `korvai up` again"
        )
    return status == http.client.OK


def _http_statement(http_port: int, password: str) -> int | None:
    """The status of `RETURN 1` over HTTP (the driver belongs to kg/graph.py alone), None while nobody listens."""
    token = base64.b64encode(f"neo4j:{password}".encode()).decode()
    connection = http.client.HTTPConnection(LOOPBACK, http_port, timeout=10)
    try:
        connection.request(
            "POST",
            "/db/neo4j/tx/commit",
            json.dumps({"statements": [{"statement": "RETURN 1"}]}),
            {"Authorization": f"Basic {token}", "Content-Type": "application/json"},
        )
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def _make_password(settings: Settings, java: Path, jars: Path) -> None:
    """Before the very first start: generate the password and tell the server's files."""
    folder = settings.home_dir / "neo4j"
    if (folder / "data" / "databases" / "system").exists():
        if not neo4j_password_file(settings).exists():
            raise ServiceError(
                f"{neo4j_password_file(settings)} is missing, and the database in {folder} has a password already; "
                "write the password of user neo4j into that file, or set KORVAI_HOME to another folder"
            )
        return
    password = secret_file(neo4j_password_file(settings))
    _write_configuration(settings, jars, bolt=settings.neo4j_bolt_port, http=settings.neo4j_http_port)
    # Handed over in a file: a command line can be read by everybody on the machine.
    arguments = folder / "conf" / "initial-password.args"
    # "--" first: what comes after is never an option, also when the owner wrote a password that begins with "-".
    write_private(arguments, f"--\n{password}\n")
    try:
        _run_admin_tool(settings, java, jars, ["dbms", "set-initial-password", f"@{arguments}"])
    finally:
        arguments.unlink(missing_ok=True)


def _run_admin_tool(settings: Settings, java: Path, jars: Path, args: Sequence[str]) -> str:
    folder = settings.home_dir / "neo4j"
    flags = java_flags(heap_mib=_ADMIN_HEAP_MIB, quick_start=settings.environment == "test")
    argv = [str(java), *flags, "-cp", class_path(jars), "org.neo4j.cli.AdminTool", *args]
    environment = {"NEO4J_HOME": str(folder), "NEO4J_CONF": str(folder / "conf"), "PATH": ""}
    try:
        done = subprocess.run(
            argv, env=environment, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )
    except OSError as error:
        raise ServiceError(f"cannot run Java ({java}): {error.strerror or error}") from error
    output = (done.stdout + done.stderr).strip()
    if done.returncode != 0:
        error = ServiceError(
            f"neo4j-admin {' '.join(args[:2])} ended with exit code {done.returncode}: {telling_line(output)}"
        )
        error.add_note(output)
        raise error
    return output


def _write_configuration(settings: Settings, jars: Path, *, bolt: int, http: int) -> None:
    folder = settings.home_dir / "neo4j"
    write_private(folder / "conf" / "neo4j.conf", _configuration(folder, jars, bolt=bolt, http=http))
    write_private(folder / "conf" / "apoc.conf", "apoc.trigger.enabled=true\napoc.trigger.refresh=1000\n")
    with disk_errors(folder):
        (folder / "import").mkdir(exist_ok=True)


def _configuration(folder: Path, jars: Path, *, bolt: int, http: int) -> str:
    lines = {
        "server.default_listen_address": LOOPBACK,
        "server.default_advertised_address": LOOPBACK,
        "server.bolt.enabled": "true",
        "server.bolt.listen_address": f"{LOOPBACK}:{bolt}",
        "server.bolt.advertised_address": f"{LOOPBACK}:{bolt}",
        "server.http.enabled": "true",
        "server.http.listen_address": f"{LOOPBACK}:{http}",
        "server.http.advertised_address": f"{LOOPBACK}:{http}",
        "server.https.enabled": "false",
        "server.directories.data": folder / "data",
        "server.directories.logs": folder.parent / "logs" / "neo4j",
        "server.directories.import": folder / "import",
        "server.directories.plugins": jars / "plugins",
        "server.directories.lib": jars / "lib",
        "server.memory.pagecache.size": "256m",
        # 256 MiB of transaction log per database, written before the first node, is not for laptops.
        "db.tx_log.preallocate": "false",
        "db.tx_log.rotation.retention_policy": "256M size",
        # By then the databases are closed; the defaults make every stop ten seconds longer.
        "internal.dbms.bolt.netty_server_shutdown_quiet_period": "0",
        "internal.server.bolt.thread_pool_shutdown_wait_time": "1s",
        "dbms.security.procedures.unrestricted": "apoc.*",
        # Nothing of a curator's work leaves the machine; guides come from Korvai's own pages only.
        "dbms.usage_report.enabled": "false",
        "client.allow_telemetry": "false",
        "browser.remote_content_hostname_whitelist": "localhost,127.0.0.1",
    }
    return "# written by `korvai up` at every start: changes are lost\n" + "".join(
        f"{key}={_escaped(value)}\n" for key, value in lines.items()
    )


def _escaped(value: object) -> str:
    return str(value).replace("\\", "\\\\")
