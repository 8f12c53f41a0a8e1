"""An S3 server in memory (moto) with two buckets: `plain`, and `locked`, whose objects nobody may delete for a
month. Tells its address, then does what it is told, a line each way."""

import json
import sys

import boto3
from botocore.exceptions import ClientError
from moto.moto_server.werkzeug_app import DomainDispatcherApplication
from moto.s3.models import S3Backend
from moto.server import ThreadedMotoServer

# Amazon's S3 takes a checksum for what it is; moto wants the header of Amazon's own clients besides.
dispatch = DomainDispatcherApplication.__call__


def dispatch_with_checksum(self, environ, start_response):
    if "HTTP_X_AMZ_CHECKSUM_SHA256" in environ:
        environ.setdefault("HTTP_X_AMZ_SDK_CHECKSUM_ALGORITHM", "SHA256")
    return dispatch(self, environ, start_response)


DomainDispatcherApplication.__call__ = dispatch_with_checksum

# Amazon's S3 gives its bucket's default retention to every new object; moto forgets those that came in parts.
complete = S3Backend.complete_multipart_upload


def complete_with_retention(self, bucket_name, *args, **more):
    key = complete(self, bucket_name, *args, **more)
    bucket = self.get_bucket(bucket_name)
    if key is not None and bucket.has_default_lock:
        key.lock_mode = bucket.default_lock_mode
        key.lock_until = bucket.default_retention()
    return key


S3Backend.complete_multipart_upload = complete_with_retention

server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
host, port = server.get_host_and_port()
s3 = boto3.client(
    "s3",
    endpoint_url=f"http://{host}:{port}",
    region_name="us-east-1",
    aws_access_key_id="key",
    aws_secret_access_key="secret",
)
s3.create_bucket(Bucket="plain")
s3.create_bucket(Bucket="locked", ObjectLockEnabledForBucket=True)
s3.put_object_lock_configuration(
    Bucket="locked",
    ObjectLockConfiguration={
        "ObjectLockEnabled": "Enabled",
        "Rule": {"DefaultRetention": {"Mode": "COMPLIANCE", "Days": 30}},
    },
)
print(f"http://{host}:{port}", flush=True)


def delete_versions(bucket):
    """Tries to delete every version of every object: how many went, and how many were refused."""
    gone, refused = 0, []
    for version in s3.list_object_versions(Bucket=bucket).get("Versions", []):
        try:
            s3.delete_object(
                Bucket=bucket, Key=version["Key"], VersionId=version["VersionId"]
            )
            gone += 1
        except ClientError as error:
            refused.append(error.response["Error"]["Code"])
    return {"gone": gone, "refused": refused}


def undelete(bucket):
    """Takes back plain deletions, which only hide: how many there were."""
    markers = s3.list_object_versions(Bucket=bucket).get("DeleteMarkers", [])
    for marker in markers:
        s3.delete_object(Bucket=bucket, Key=marker["Key"], VersionId=marker["VersionId"])
    return {"markers": len(markers)}


def unfinished(bucket):
    """How many uploads were begun and neither finished nor given up."""
    return {"uploads": len(s3.list_multipart_uploads(Bucket=bucket).get("Uploads", []))}


for line in sys.stdin:
    name, bucket = line.split()
    orders = {"delete_versions": delete_versions, "undelete": undelete, "unfinished": unfinished}
    print(json.dumps(orders[name](bucket)), flush=True)
