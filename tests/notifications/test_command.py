"""`rookery ceph notifications`, as it is typed."""

import json
import logging

import pytest
from click.testing import CliRunner

from rookery.cli.root import root
from rookery.errors import NotificationsInvalid, NotificationsRefused

real = [pytest.mark.xdist_group("ceph"), pytest.mark.end_to_end]


@pytest.fixture
def levels():
    """Let other tests have the loggers as they were."""
    loggers = [logging.getLogger(name) for name in ("botocore", "boto3", "urllib3", "s3transfer")]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.NOTSET)
    yield loggers
    for logger, level in zip(loggers, before, strict=True):
        logger.setLevel(level)


@pytest.fixture
def run(monkeypatch, tmp_path, levels):
    """Run a command in a folder of its own, with nobody's settings."""
    del levels
    monkeypatch.chdir(tmp_path)
    for name in ("S3_ENDPOINT_URL", "S3_ACCESS_KEY", "S3_SECRET_KEY", "S3_ENABLED"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ROOKERY_HOME", str(tmp_path / "home"))

    def invoke(*arguments, **options):
        result = CliRunner().invoke(root, ["ceph", "notifications", *arguments], **options)
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return invoke


@pytest.fixture
def write(tmp_path):
    def make(*entries):
        file = tmp_path / "ceph/notifications.yaml"
        file.parent.mkdir(exist_ok=True)
        file.write_text(json.dumps({"notifications": list(entries)}))

    return make


@pytest.fixture
def on_ceph(ceph, monkeypatch, run):
    """Run it at the node of ROOKERY_HOME, without a setting of S3."""
    monkeypatch.setenv("ROOKERY_HOME", str(ceph.folder.parent))
    return run


@pytest.fixture
def on_moto(storage, monkeypatch, run):
    monkeypatch.setenv("S3_ENDPOINT_URL", storage.url)
    monkeypatch.setenv("S3_ACCESS_KEY", storage.env["S3_ACCESS_KEY"])
    monkeypatch.setenv("S3_SECRET_KEY", storage.env["S3_SECRET_KEY"])
    return run


def entry(bucket, **fields):
    return {"name": bucket, "bucket": bucket, "endpoint": "http://127.0.0.1:9/?token=x"} | fields


class TestOnCeph:
    pytestmark = real

    def test_apply_shows_what_it_does_and_then_does_nothing(self, on_ceph, write, bucket):
        write(entry(bucket))

        first, second = on_ceph("apply"), on_ceph("apply")

        assert first.output.splitlines() == [
            f"+ topic {bucket}",
            "    endpoint             http://127.0.0.1:9/?…",
            "    persistent           false",
            f"+ notification {bucket}/{bucket}",
            f"    topic                {bucket}",
            "    events               s3:ObjectCreated:*",
            "applied",
        ]
        assert second.output == "nothing to change\n"

    def test_a_dry_run_changes_nothing(self, on_ceph, write, bucket):
        write(entry(bucket))
        assert "as this is a dry run" in on_ceph("apply", "--dry-run").output
        assert f"+ topic {bucket}" in on_ceph("apply").output
        assert "as this is a dry run" in on_ceph("remove", "--dry-run").output
        assert "nothing to change" in on_ceph("apply").output

    def test_what_is_not_in_the_file_goes_only_after_a_yes(self, on_ceph, write, bucket):
        write(entry(bucket, name=f"{bucket}-foreign"))
        on_ceph("apply")
        write(entry(bucket))
        assert "is not in the file: kept" in on_ceph("apply").output

        refused = on_ceph("apply", "--prune", input="n\n")
        assert refused.exit_code == 1
        assert f"{bucket}-foreign" in on_ceph("list", "--bucket", bucket).output

        assert "applied" in on_ceph("apply", "--prune", "--yes").output
        assert f"{bucket}-foreign" not in on_ceph("list", "--bucket", bucket).output

    def test_list_shows_where_each_leads(self, on_ceph, write, bucket):
        write(entry(bucket, filter={"suffix": ".jpg"}, persistent=True))
        on_ceph("apply")

        head, row = on_ceph("list", "--bucket", bucket).output.splitlines()
        assert head.split()[0] == "BUCKET"
        assert row.split() == [
            bucket, bucket, "s3:ObjectCreated:*", "suffix=.jpg", bucket, "http://127.0.0.1:9/?…",
            "true",
        ]  # fmt: skip
        (listed,) = json.loads(on_ceph("list", "--bucket", bucket, "--json").output)[
            "notifications"
        ]
        assert (listed["name"], listed["persistent"]) == (bucket, True)

    def test_list_without_a_bucket_lists_them_all(self, on_ceph, write, bucket):
        write(entry(bucket))
        on_ceph("apply")
        assert bucket in on_ceph("list").output

    def test_remove_takes_it_away(self, on_ceph, write, bucket):
        write(entry(bucket))
        on_ceph("apply")
        assert on_ceph("remove").output.splitlines()[-1] == "removed"
        assert on_ceph("list", "--bucket", bucket).output == "no notifications\n"
        assert on_ceph("remove").output == "nothing to change\n"

    def test_what_ceph_16_does_not_know_is_told(self, on_ceph, write, bucket):
        write(entry(bucket, persistent=True, max_retries=5, cloudevents=True))
        said = on_ceph("apply").output
        assert "does not know max_retries: it retries a persistent topic for ever" in said
        assert "may not know cloudevents" in said
        assert on_ceph("apply").output.splitlines()[-1] == "nothing to change"

    def test_a_bucket_that_is_missing_ends_it(self, on_ceph, write):
        write(entry("nope-1"))
        with pytest.raises(NotificationsRefused, match="aws s3 mb"):
            on_ceph("apply")


def test_a_queue_of_aws_is_configured_the_same_way(on_moto, write, storage):
    import boto3

    boto3.client("sqs", **storage.client).create_queue(QueueName="for-command")
    boto3.client("s3", **storage.client).create_bucket(Bucket="for-command")
    write(
        {
            "name": "n",
            "bucket": "for-command",
            "queue": "arn:aws:sqs:us-east-1:123456789012:for-command",
        }
    )
    assert on_moto("apply").output.splitlines()[-1] == "applied"
    assert on_moto("apply").output == "nothing to change\n"
    assert on_moto("remove").output.splitlines()[-1] == "removed"


def test_a_file_for_ceph_is_not_applied_to_aws(run, write):
    write(entry("images"))
    with pytest.raises(NotificationsInvalid, match="rookery ceph up"):
        run("apply")


@pytest.mark.parametrize("command", ["apply", "remove"])
def test_a_file_that_is_not_there_is_named(run, command):
    with pytest.raises(NotificationsInvalid, match=r"ceph/notifications\.yaml cannot be read"):
        run(command)


@pytest.mark.parametrize("command", ["apply", "list", "remove"])
def test_what_would_log_keys_and_passwords_is_silent(run, levels, command):
    run(command, "--help")
    assert {logger.level for logger in levels} == {logging.WARNING}


@pytest.mark.parametrize("command", ["apply", "list", "remove"])
def test_help_has_examples(run, command):
    assert "Examples:" in run(command, "--help").output
