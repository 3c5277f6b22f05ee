"""Every setting, read once, at the composition root, and validated all together.

Environment variables are the only source: a twelve-factor process, a func.yaml and a SinkBinding
all speak it. Modules take the values they need, never this object.
"""

from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import AliasChoices, Field, HttpUrl, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from rookery.errors import SettingsInvalid

Format = Literal["JPEG", "PNG", "WEBP", "BMP", "GIF"]
Names = Annotated[tuple[str, ...], NoDecode]  # comma-separated in the environment

MEBIBYTE: Final = 1024 * 1024
DAY_SECONDS: Final = 86_400


def _env(name: str) -> AliasChoices:
    """Read a field from the variable *name* and from nothing else."""
    return AliasChoices(name)


class Settings(BaseSettings):
    """The settings of one process; every field names its environment variable."""

    model_config = SettingsConfigDict(extra="ignore", frozen=True, env_ignore_empty=True)

    home: Path = Field(default=Path(".rookery"), validation_alias=_env("ROOKERY_HOME"))
    """Where models, downloads, the broker's journal and the logs of `rookery up` live."""

    # --- the model
    model: str = Field(default="efficientnet-lite0", validation_alias=_env("ROOKERY_MODEL"))
    """The model to serve, optionally NAME/VERSION; the newest version otherwise."""
    backend: Literal["tensorflow", "openvino", "fixed"] = Field(
        default="tensorflow", validation_alias=_env("ROOKERY_BACKEND")
    )
    """The library that runs it."""
    threads: int | None = Field(default=None, ge=1, validation_alias=_env("ROOKERY_THREADS"))
    """How many threads compute one image; all cores without it."""
    top_k: int = Field(default=5, ge=1, le=1000, validation_alias=_env("ROOKERY_TOP_K"))
    """How many classes an answer lists."""

    # --- the server
    host: str = Field(default="0.0.0.0", validation_alias=_env("ROOKERY_HOST"))  # noqa: S104
    """The address to listen on; a container must listen on all of them."""
    port: int = Field(default=8080, ge=0, le=65535, validation_alias=_env("PORT"))
    """The port to listen on; 0 picks a free one. Knative sets it."""
    concurrency: int = Field(default=2, ge=1, le=256, validation_alias=_env("ROOKERY_CONCURRENCY"))
    """Images decoded and inferred at the same time."""
    queue: int = Field(default=32, ge=0, le=4096, validation_alias=_env("ROOKERY_QUEUE"))
    """Requests that may wait for their turn; one more is answered 429."""
    drain_seconds: float = Field(
        default=25, gt=0, le=DAY_SECONDS, validation_alias=_env("ROOKERY_DRAIN_SECONDS")
    )
    """How long work in flight may take to finish after SIGTERM."""
    startup_seconds: float = Field(
        default=60, ge=0, le=DAY_SECONDS, validation_alias=_env("ROOKERY_STARTUP_SECONDS")
    )
    """How long a request waits for a model that is still loading, before it is answered 503."""
    data_dir: Path | None = Field(default=None, validation_alias=_env("ROOKERY_DATA_DIR"))
    """The folder that GET ?imageName= reads from; the function's own `data/` without it."""
    default_image: str = Field(default="test1", validation_alias=_env("ROOKERY_DEFAULT_IMAGE"))
    """The image answered when imageName is absent or unknown."""

    # --- limits
    max_body_bytes: int = Field(
        default=32 * MEBIBYTE, ge=1, validation_alias=_env("ROOKERY_MAX_BODY_BYTES")
    )
    """The longest request body, and the largest object."""
    max_pixels: int = Field(default=100_000_000, ge=1, validation_alias=_env("ROOKERY_MAX_PIXELS"))
    """The largest image, width times height."""
    formats: Annotated[tuple[Format, ...], NoDecode] = Field(
        default=("JPEG", "PNG", "WEBP", "BMP", "GIF"),
        min_length=1,
        validation_alias=_env("ROOKERY_FORMATS"),
    )
    """The image formats that are decoded; comma-separated."""
    max_records: int = Field(default=1000, ge=1, validation_alias=_env("ROOKERY_MAX_RECORDS"))
    """The most object-created records in one request."""

    # --- events
    sink: HttpUrl | None = Field(default=None, validation_alias=_env("K_SINK"))
    """Where events are posted when the caller does not ask for a reply. A SinkBinding sets it."""
    ce_overrides: str = Field(default="", validation_alias=_env("K_CE_OVERRIDES"))
    """Extensions for every event sent to the sink: JSON, or empty. A SinkBinding sets it."""
    on_poison: Literal["reject", "ack-and-deadletter"] = Field(
        default="reject", validation_alias=_env("ROOKERY_ON_POISON")
    )
    """What a final failure answers: its 4xx, or 2xx after a dead-letter event was published."""
    dedup_seconds: float = Field(
        default=900, ge=0, le=7 * DAY_SECONDS, validation_alias=_env("ROOKERY_DEDUP_SECONDS")
    )
    """How long a finished event is remembered; 0 turns the window off."""
    dedup_entries: int = Field(default=10_000, ge=1, validation_alias=_env("ROOKERY_DEDUP_ENTRIES"))
    """How many finished events are remembered."""

    # --- S3
    s3_enabled: bool = Field(default=False, validation_alias=_env("S3_ENABLED"))
    """Whether object-created events are served; without it they are refused."""
    s3_access_key: SecretStr | None = Field(default=None, validation_alias=_env("S3_ACCESS_KEY"))
    """The access key; without it, boto3's own credential chain."""
    s3_secret_key: SecretStr | None = Field(default=None, validation_alias=_env("S3_SECRET_KEY"))
    """The secret key that goes with it."""
    s3_endpoint_url: HttpUrl | None = Field(default=None, validation_alias=_env("S3_ENDPOINT_URL"))
    """The S3 endpoint; AWS itself without it."""
    s3_buckets: Names = Field(default=(), validation_alias=_env("S3_BUCKET_NAME"))
    """The buckets events may name; comma-separated."""
    s3_region: str = Field(default="us-east-1", validation_alias=_env("S3_AWS_REGION"))
    """The region to sign for."""
    s3_event_name: str = Field(default="ObjectCreated:*", validation_alias=_env("S3_EVENT_NAME"))
    """The event names that are served: exact, or a prefix ending in *; `s3:` is optional."""

    @field_validator("s3_buckets", "formats", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        return tuple(part.strip() for part in value.split(",") if part.strip())

    @field_validator("formats", mode="before")
    @classmethod
    def _uppercase(cls, value: object) -> object:
        return value.upper() if isinstance(value, str) else value

    @field_validator("sink", "s3_endpoint_url")
    @classmethod
    def _without_password(cls, value: HttpUrl | None) -> HttpUrl | None:
        if value is not None and (value.username or value.password):
            raise ValueError("a user or password in the URL is not used; leave it out")
        return value

    @classmethod
    def read(cls) -> Self:
        """Read the environment.

        Raises:
            SettingsInvalid: with every problem, each naming its variable. Secret values are
                never part of the message.
        """
        try:
            settings = cls()
        except ValidationError as exc:
            raise SettingsInvalid([_problem(error) for error in _errors(exc)]) from None
        if problems := settings._conflicts():
            raise SettingsInvalid(problems)
        return settings

    def _conflicts(self) -> list[str]:
        problems = []
        if self.s3_enabled and not self.s3_buckets:
            problems.append(
                "S3_BUCKET_NAME: name the bucket(s) events may come from (S3_ENABLED is on)"
            )
        if (self.s3_access_key is None) != (self.s3_secret_key is None):
            problems.append("S3_ACCESS_KEY and S3_SECRET_KEY: set both, or neither")
        if self.on_poison == "ack-and-deadletter" and self.sink is None:
            problems.append("K_SINK: ROOKERY_ON_POISON=ack-and-deadletter needs a sink")
        return problems


def _errors(exc: ValidationError) -> list[tuple[str, str, object]]:
    return [
        (".".join(str(part) for part in error["loc"]), error["msg"], error["input"])
        for error in exc.errors(include_url=False, include_context=False)
    ]


def _problem(error: tuple[str, str, object]) -> str:
    name, message, value = error
    # A URL may hold a password.
    shown = "" if "KEY" in name or "@" in str(value) else f" (it is {value!r})"
    return f"{name}: {message}{shown}"
