"""Every setting, read once, at the composition root, and validated all together.

Environment variables are the only source: a twelve-factor process, a func.yaml and a SinkBinding
all speak it. Modules take the values they need, never this object.
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Final, Literal, Self, get_args

from pydantic import AliasChoices, Field, HttpUrl, SecretStr, ValidationError, field_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from rookery.backends.options import Performance
from rookery.cpus import usable_cpus
from rookery.credentials import Outgoing, Tokens, believing, tokens
from rookery.delivery.overrides import parse_overrides
from rookery.errors import SettingsInvalid
from rookery.serving.gate import images_at_once
from rookery.settings_problems import listed, problems_of

Format = Literal["JPEG", "PNG", "WEBP", "BMP", "GIF"]
Names = Annotated[tuple[str, ...], NoDecode]  # comma-separated in the environment

MEBIBYTE: Final = 1024 * 1024
DAY_SECONDS: Final = 86_400
_NO_CACHE: Final = Path("off")
_MAX_PREFIX_BYTES: Final = 256
_WINDOW: Final = re.compile(r"memory|sqlite:.+|rediss?://.+")


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
    backend: Literal[
        "tensorflow", "tensorflow-frozen", "tensorflow-xla", "openvino", "opencv", "itex", "fixed",
        "auto",
    ] = Field(default="tensorflow", validation_alias=_env("ROOKERY_BACKEND"))  # fmt: skip
    """The library that runs it; auto measures those that are installed and takes the fastest."""
    threads: int | None = Field(default=None, ge=1, validation_alias=_env("ROOKERY_THREADS"))
    """How many threads compute; without it, as many as this process may use CPUs."""
    performance: Performance = Field(
        default="latency", validation_alias=_env("ROOKERY_PERFORMANCE")
    )
    """latency: one image on all threads; throughput: several at once, where the library can."""
    pin_threads: bool = Field(default=False, validation_alias=_env("ROOKERY_PIN_THREADS"))
    """Whether each of those threads stays on a CPU of its own: not where others share them."""
    model_cache: Path | None = Field(default=None, validation_alias=_env("ROOKERY_MODEL_CACHE"))
    """A folder for compiled models, or off; without it, cache/models in ROOKERY_HOME."""
    top_k: int = Field(default=5, ge=1, le=1000, validation_alias=_env("ROOKERY_TOP_K"))
    """How many classes an answer lists."""

    # --- who may call us, and what we show to others
    ingress_token: SecretStr | None = Field(
        default=None, validation_alias=_env("ROOKERY_INGRESS_TOKEN")
    )
    """The bearer token requests must have, but for health and metrics; or several, one a line."""
    ingress_token_file: Path | None = Field(
        default=None, validation_alias=_env("ROOKERY_INGRESS_TOKEN_FILE")
    )
    """A file of such tokens, read again when it changes."""
    sink_token: SecretStr | None = Field(default=None, validation_alias=_env("ROOKERY_SINK_TOKEN"))
    """The bearer token that is sent with events, and to the broker by commands."""
    sink_token_file: Path | None = Field(
        default=None, validation_alias=_env("ROOKERY_SINK_TOKEN_FILE")
    )
    """A file whose first line is that token, read again when it changes."""
    ca_certs: str | None = Field(default=None, validation_alias=_env("K_CA_CERTS"))
    """Authorities, as PEM, that are believed beside the system's where events are sent."""

    # --- the server
    host: str = Field(default="0.0.0.0", validation_alias=_env("ROOKERY_HOST"))  # noqa: S104
    """The address to listen on; a container must listen on all of them."""
    port: int = Field(default=8080, ge=0, le=65535, validation_alias=_env("PORT"))
    """The port to listen on; 0 picks a free one. Knative sets it."""
    concurrency: int | None = Field(
        default=None, ge=1, le=256, validation_alias=_env("ROOKERY_CONCURRENCY")
    )
    """Images decoded and inferred at the same time; without it, what suits the CPUs."""
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
    header_seconds: float = Field(
        default=10, gt=0, le=DAY_SECONDS, validation_alias=_env("ROOKERY_HEADER_SECONDS")
    )
    """How long the headers of a request may take to arrive, before it is answered 408."""
    body_seconds: float = Field(
        default=30, gt=0, le=DAY_SECONDS, validation_alias=_env("ROOKERY_BODY_SECONDS")
    )
    """How long a body may take, and one second more for every 4 KiB; so may reading an answer."""
    max_connections: int = Field(
        default=1000, ge=1, le=100_000, validation_alias=_env("ROOKERY_MAX_CONNECTIONS")
    )
    """How many clients may be connected; one more takes the place of one that hangs."""
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
    dedup: SecretStr = Field(default=SecretStr("memory"), validation_alias=_env("ROOKERY_DEDUP"))
    """Where finished events are remembered: memory, sqlite:PATH, redis://HOST or rediss://HOST."""
    dedup_password_file: Path | None = Field(
        default=None, validation_alias=_env("ROOKERY_DEDUP_PASSWORD_FILE")
    )
    """A file that holds the password of that Redis, read again when it changes."""
    dedup_seconds: float = Field(
        default=900, ge=0, le=7 * DAY_SECONDS, validation_alias=_env("ROOKERY_DEDUP_SECONDS")
    )
    """How long a finished event is remembered; 0 turns the window off."""
    dedup_entries: int = Field(default=10_000, ge=1, validation_alias=_env("ROOKERY_DEDUP_ENTRIES"))
    """How many finished events memory or a SQLite file holds; Redis forgets by time alone."""

    # --- S3
    s3_enabled: bool = Field(default=False, validation_alias=_env("S3_ENABLED"))
    """Whether object-created events are served; without it they are refused."""
    s3_access_key: SecretStr | None = Field(default=None, validation_alias=_env("S3_ACCESS_KEY"))
    """The access key; without it, boto3's own credential chain."""
    s3_secret_key: SecretStr | None = Field(default=None, validation_alias=_env("S3_SECRET_KEY"))
    """The secret key that goes with it."""
    s3_access_key_file: Path | None = Field(
        default=None, validation_alias=_env("S3_ACCESS_KEY_FILE")
    )
    """A file that holds the access key instead, read again when it changes."""
    s3_secret_key_file: Path | None = Field(
        default=None, validation_alias=_env("S3_SECRET_KEY_FILE")
    )
    """A file that holds the secret key, likewise."""
    s3_ca_file: Path | None = Field(default=None, validation_alias=_env("S3_CA_FILE"))
    """The authorities, as PEM, that the S3 endpoint's certificate is checked against."""
    s3_endpoint_url: HttpUrl | None = Field(default=None, validation_alias=_env("S3_ENDPOINT_URL"))
    """The S3 endpoint; AWS itself without it."""
    s3_buckets: Names = Field(default=(), validation_alias=_env("S3_BUCKET_NAME"))
    """The buckets events may name; comma-separated."""
    s3_region: str = Field(default="us-east-1", validation_alias=_env("S3_AWS_REGION"))
    """The region to sign for."""
    s3_event_name: str = Field(default="ObjectCreated:*", validation_alias=_env("S3_EVENT_NAME"))
    """The event names that are served: exact, or a prefix ending in *; `s3:` is optional."""

    # --- snapshots
    snapshot: Literal["auto", "none", "criu", "sentinel", "gvisor"] = Field(
        default="auto", validation_alias=_env("ROOKERY_SNAPSHOT")
    )
    """Who snapshots this process once it is warm; auto asks what is there, and is mostly none."""
    hook_seconds: float = Field(
        default=10, gt=0, le=DAY_SECONDS, validation_alias=_env("ROOKERY_HOOK_SECONDS")
    )
    """How long all hooks that run after a restore may take together."""
    snapshot_control_dir: Path | None = Field(
        default=None, validation_alias=_env("SNAPSHOT_CONTROL_DIR")
    )
    """The folder where a snapshotting agent and this process leave files for each other."""
    criu: Path | None = Field(default=None, validation_alias=_env("ROOKERY_CRIU"))
    """The CRIU program; else that of `scripts/install-criu`, or of the PATH."""

    # --- results as objects
    results_bucket: str | None = Field(
        default=None, validation_alias=_env("ROOKERY_RESULTS_BUCKET")
    )
    """The bucket that results are kept in, beside being sent; unset, they are only sent."""
    results_prefix: str = Field(default="results/", validation_alias=_env("ROOKERY_RESULTS_PREFIX"))
    """What the keys of results begin with; `/` for nothing. Events about such keys are ignored."""

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

    @field_validator("results_prefix")
    @classmethod
    def _as_folder(cls, value: str) -> str:
        inner = value.strip("/")
        if len(inner.encode()) > _MAX_PREFIX_BYTES:
            raise ValueError(f"longer than {_MAX_PREFIX_BYTES} bytes")
        return f"{inner}/" if inner else ""

    @field_validator("sink", "s3_endpoint_url")
    @classmethod
    def _without_password(cls, value: HttpUrl | None) -> HttpUrl | None:
        if value is not None and (value.username or value.password):
            raise ValueError("a user or password in the URL is not used; leave it out")
        return value

    @field_validator("s3_endpoint_url")
    @classmethod
    def _without_query(cls, value: HttpUrl | None) -> HttpUrl | None:
        if value is not None and value.query:
            raise ValueError("a query in the URL is not used; leave it out")
        return value

    @field_validator("ce_overrides")
    @classmethod
    def _overrides(cls, value: str) -> str:
        with listed():
            parse_overrides(value)
        return value

    @field_validator("ingress_token", "sink_token")
    @classmethod
    def _bearer(cls, value: SecretStr | None) -> SecretStr | None:
        with listed():
            tokens(value, None, setting="")
        return value

    @field_validator("ca_certs")
    @classmethod
    def _certificates(cls, value: str | None) -> str | None:
        with listed():
            if value is not None:
                believing(value)
        return value

    @field_validator("dedup")
    @classmethod
    def _one_of_the_windows(cls, value: SecretStr) -> SecretStr:
        if not _WINDOW.fullmatch(value.get_secret_value()):
            raise ValueError("must be memory, sqlite:PATH, redis://HOST or rediss://HOST")
        return value

    @classmethod
    def read(cls) -> Self:
        """Read the environment.

        Raises:
            SettingsInvalid: with every problem, each naming its variable. Secret values are
                never part of the message.
        """
        problems: list[str] = []
        wrong: set[str] = set()
        try:
            settings = cls()
        except ValidationError as exc:
            found = problems_of(exc, secret=SECRET_VARIABLES)
            problems = [problem for _, problem in found]
            wrong = {name for name, _ in found}
            # The others are looked at all the same, with defaults in the place of what is wrong.
            settings = cls(**{name: _DEFAULTS[name] for name in wrong})
        for names, problem in settings._conflicts():
            if not wrong.intersection(names):
                problems.append(problem)
        if problems:
            raise SettingsInvalid(problems) from None
        return settings

    @classmethod
    def read_only(cls, *variables: str) -> Self:
        """Read these *variables* of the environment; any other counts as unset, and may be wrong.

        Raises:
            SettingsInvalid: with every problem of theirs.
        """
        unread = {name: value for name, value in _DEFAULTS.items() if name not in variables}
        try:
            return cls(**unread)
        except ValidationError as exc:
            found = problems_of(exc, secret=SECRET_VARIABLES)
            raise SettingsInvalid([problem for _, problem in found]) from None

    def accepted_tokens(self) -> Tokens | None:
        """Return the tokens that requests may have; None where they need none.

        Raises:
            SettingsInvalid: they cannot be used.
        """
        return tokens(self.ingress_token, self.ingress_token_file, setting="ROOKERY_INGRESS_TOKEN")

    def compiled_models(self) -> Path | None:
        """Return the folder of compiled models; None where none are kept."""
        if self.model_cache is None:
            return self.home / "cache" / "models"
        return None if self.model_cache == _NO_CACHE else self.model_cache

    def images_at_once(self) -> int:
        """Return how many images are worked on at the same time."""
        return self.concurrency or images_at_once(usable_cpus(), self.threads, self.performance)

    def outgoing(self) -> Outgoing:
        """Return how we present ourselves where events are sent.

        Raises:
            SettingsInvalid: the token or the certificates cannot be used.
        """
        return Outgoing(
            tokens(self.sink_token, self.sink_token_file, setting="ROOKERY_SINK_TOKEN"),
            believing(self.ca_certs) if self.ca_certs else None,
        )

    def _conflicts(self) -> Iterator[tuple[tuple[str, ...], str]]:
        """Yield what does not go together: the variables, and what to say."""
        if self.s3_enabled and not self.s3_buckets:
            yield (
                ("S3_ENABLED", "S3_BUCKET_NAME"),
                "S3_BUCKET_NAME: name the bucket(s) events may come from (S3_ENABLED is on)",
            )
        if (self.s3_access_key is None) != (self.s3_secret_key is None):
            yield (
                ("S3_ACCESS_KEY", "S3_SECRET_KEY"),
                "S3_ACCESS_KEY and S3_SECRET_KEY: set both, or neither",
            )
        if (self.s3_access_key_file is None) != (self.s3_secret_key_file is None):
            yield (
                ("S3_ACCESS_KEY_FILE", "S3_SECRET_KEY_FILE"),
                "S3_ACCESS_KEY_FILE and S3_SECRET_KEY_FILE: set both, or neither",
            )
        for name, value, file in (
            ("S3_ACCESS_KEY", self.s3_access_key, self.s3_access_key_file),
            ("S3_SECRET_KEY", self.s3_secret_key, self.s3_secret_key_file),
            ("ROOKERY_INGRESS_TOKEN", self.ingress_token, self.ingress_token_file),
            ("ROOKERY_SINK_TOKEN", self.sink_token, self.sink_token_file),
        ):
            if value is not None and file is not None:
                yield (name, f"{name}_FILE"), f"{name} and {name}_FILE: set one of them"
        if self.results_bucket in self.s3_buckets and not self.results_prefix:
            yield (
                ("ROOKERY_RESULTS_BUCKET", "S3_BUCKET_NAME", "ROOKERY_RESULTS_PREFIX"),
                "ROOKERY_RESULTS_PREFIX: must not be / where events come from the results' bucket",
            )
        if self.on_poison == "ack-and-deadletter" and self.sink is None:
            yield (
                ("ROOKERY_ON_POISON", "K_SINK"),
                "K_SINK: ROOKERY_ON_POISON=ack-and-deadletter needs a sink",
            )


def _alias(field: FieldInfo) -> str:
    alias = field.validation_alias
    return str(alias.choices[0]) if isinstance(alias, AliasChoices) else str(alias)


_DEFAULTS: Final = {_alias(field): field.default for field in Settings.model_fields.values()}
# Their values are never shown; nor is what may hold one.
SECRET_VARIABLES: Final = frozenset(
    {
        "K_CA_CERTS",
        "K_CE_OVERRIDES",
        *(
            _alias(field)
            for field in Settings.model_fields.values()
            if SecretStr in (field.annotation, *get_args(field.annotation))
        ),
    }
)


def read_home() -> Path:
    """Return ROOKERY_HOME, for what needs nothing else: a function's settings may be wrong here."""
    return Path(os.environ.get("ROOKERY_HOME") or str(Settings.model_fields["home"].default))


def read_backend(default: str) -> str:
    """Return ROOKERY_BACKEND, or *default* where it is not set, for what needs no other setting."""
    return os.environ.get("ROOKERY_BACKEND") or default
