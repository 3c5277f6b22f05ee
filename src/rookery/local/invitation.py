"""What `rookery up` says when everything is up: the addresses, and commands to try."""

import shlex
from collections.abc import Mapping

from rookery.local.plan import LocalPlan


def invitation(plan: LocalPlan, environ: Mapping[str, str]) -> str:
    """Return the text; its commands work in another terminal whose folder is the same."""
    function, url = next(iter(plan.function_urls.items()))
    urls = "\n".join(f"  {name:10} {at}" for name, at in plan.function_urls.items())
    kind = "" if plan.receiver_url is None else "Ceph, "
    home = environ.get("ROOKERY_HOME")
    first = f"  export ROOKERY_HOME={shlex.quote(home)}\n\n" if home else ""
    return f"""
  storage    {plan.access.url}  ({kind}bucket {plan.bucket})
  broker     {plan.broker_url}
{urls}

Try, in another terminal:

{first}  rookery put photo.jpg

{_upload(plan)}

  curl --data-binary @photo.jpg {url}/
  curl '{url}/?imageName=test1'

Results of {function} appear below; Ctrl-C stops everything.
"""


def _upload(plan: LocalPlan) -> str:
    access = plan.access
    if plan.receiver_url is None:
        return (
            f"  AWS_ACCESS_KEY_ID={access.access_key} AWS_SECRET_ACCESS_KEY={access.secret_key} "
            f"AWS_DEFAULT_REGION={access.region} \\\n"
            f"    aws --endpoint-url {access.url} s3 cp photo.jpg s3://{plan.bucket}/"
        )
    option = "" if plan.bucket == "images" else f" --bucket {plan.bucket}"
    return f'  eval "$(rookery ceph env{option})"\n  aws s3 cp photo.jpg s3://{plan.bucket}/'
