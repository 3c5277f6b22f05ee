"""Logging, configured once per process and only by commands."""

import logging


def configure_logs(level: int = logging.INFO) -> None:
    """Log to standard error, one line per record."""
    logging.basicConfig(level=level, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    for chatty in ("botocore", "boto3", "urllib3", "s3transfer", "werkzeug", "waitress"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
