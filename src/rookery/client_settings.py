"""The settings of a command that asks a broker: few, so that it works where others are wrong."""

import os
from dataclasses import replace
from pathlib import Path

from pydantic import SecretStr

from rookery.credentials import Outgoing, Tokens, believing, tokens


def read_client() -> Outgoing:
    """Return how a command presents itself to the broker here.

    As whoever sends events to it (ROOKERY_SINK_TOKEN), or else with what the broker itself accepts
    (ROOKERY_INGRESS_TOKEN).

    Raises:
        SettingsInvalid: the token or the certificates (K_CA_CERTS) cannot be used.
    """
    ca_certs = os.environ.get("K_CA_CERTS")
    own = Outgoing(_tokens("ROOKERY_SINK_TOKEN"), believing(ca_certs) if ca_certs else None)
    return own if own.tokens is not None else replace(own, tokens=_tokens("ROOKERY_INGRESS_TOKEN"))


def _tokens(setting: str) -> Tokens | None:
    value, file = os.environ.get(setting), os.environ.get(f"{setting}_FILE")
    return tokens(
        SecretStr(value) if value else None, Path(file) if file else None, setting=setting
    )
