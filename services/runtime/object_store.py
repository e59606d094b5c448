"""The object store on boto3: put, get with a hash check, conditional put, list, presign.

Every write that must not overwrite another's is conditional (`If-None-Match: *` or `If-Match`). A store that ignores
the conditions is found at start and refused by name, since the ledger would pay twice on it.

The methods block; an `async` caller runs them in a thread.
"""

import asyncio
import hashlib
import os
import re
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, NoReturn

import boto3
import structlog
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.handlers import add_expect_header
from prometheus_client import Counter, Histogram

from services.contracts import ids
from services.contracts.reports import ObjectRef
from services.runtime.metrics import SECONDS_BUCKETS
from services.runtime.settings import ObjectStoreSettings

if TYPE_CHECKING:
    from types_boto3_s3.client import S3Client

log = structlog.get_logger(__name__)

_SECONDS = Histogram(
    "tardigrade_object_store_seconds", "Seconds of one operation on the store.", ["operation"], buckets=SECONDS_BUCKETS
)

_ERRORS = Counter(
    "tardigrade_object_store_errors_total",
    "Operations that the store failed or refused. A missing object and a condition that did not hold are answers.",
    ["operation"],
)

# Short, because each caller has a retry above it that is visible: Temporal's, or the waiting loop at start.
_CONFIG = Config(
    connect_timeout=3,
    read_timeout=10,
    retries={"mode": "standard", "total_max_attempts": 2},
    max_pool_connections=64,
    signature_version="s3v4",  # some addresses would still be presigned with the version that newer servers refuse
    request_checksum_calculation="when_required",  # the default's trailers are refused by older S3 servers
    response_checksum_validation="when_required",
)

_MAX_WAIT_SECONDS = 5.0

_NO_FILE_NAME = re.compile(r'[^\w .()\-]|["\\]')


class ObjectStoreError(Exception):
    """The store failed or refused; trying again later may help. The message names the operation and the key."""


class ObjectMissingError(ObjectStoreError):
    """There is no such object."""


class CorruptObjectError(ObjectStoreError):
    """The object's bytes are not the ones that were stored."""


class PreconditionFailedError(ObjectStoreError):
    """The object is not the one that the condition named: somebody else wrote it (412)."""


class WriteConflictError(ObjectStoreError):
    """Another conditional write of the same object was under way (409); the same write may be tried again."""


class UnsupportedStoreError(Exception):
    """The store ignores conditional writes. Waiting does not help."""


_BY_STATUS = {
    304: PreconditionFailedError,
    404: ObjectMissingError,
    409: WriteConflictError,
    412: PreconditionFailedError,
}


@dataclass(frozen=True)
class StoredObject:
    """An object as it was read.

    Attributes:
        data: Its bytes.
        etag: What `If-Match` takes.
        age_seconds: The store's `Date` minus its `Last-Modified`, so that no pod's clock is asked. Whole seconds.
    """

    data: bytes
    etag: str
    age_seconds: float


class ObjectStore:
    """One bucket."""

    def __init__(self, settings: ObjectStoreSettings) -> None:
        """Make the client; nothing is sent. The endpoint and the credentials are boto3's standard variables."""
        self.bucket = settings.s3_bucket
        self.endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or ""
        self._retention_days = settings.ledger_retention_days
        # A store of one's own rarely has a host name for each bucket; AWS wants one.
        style = Config(s3={"addressing_style": "path"}) if self.endpoint else Config()
        region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1"
        self._s3: S3Client = boto3.session.Session().client(
            "s3", region_name=region, endpoint_url=self.endpoint or None, config=_CONFIG.merge(style)
        )
        # boto3 sends every body only after the store has said "100 Continue": a round trip more for each PUT, and the
        # ledger's writes are small. What it guards against, a large body sent to the wrong region, cannot happen here.
        self._s3.meta.events.unregister("before-call.s3", add_expect_header)

    def put(self, key: str, data: bytes, content_type: str) -> ObjectRef:
        """Write an object, whatever was there.

        Raises:
            ObjectStoreError: The store failed or refused.
        """
        with self._operation("put", key):
            self._s3.put_object(Bucket=self.bucket, Key=key, Body=data, ContentType=content_type)
        return reference(key, data)

    def put_if(self, key: str, data: bytes, *, etag: str | None, content_type: str = "application/json") -> str:
        """Write an object only if it is still the one with `etag`, or, with `None`, only if there is none.

        Returns:
            The new ETag.

        Raises:
            PreconditionFailedError: It is another one, or gone.
            WriteConflictError: Another write was under way.
            ObjectStoreError: The store failed or refused.
        """
        condition: dict[str, Any] = {"IfNoneMatch": "*"} if etag is None else {"IfMatch": etag}
        with self._operation("put_if", key):
            answer = self._s3.put_object(
                Bucket=self.bucket,
                Key=key,
                Body=data,
                ContentType=content_type,
                **condition,
            )
        return answer["ETag"]

    def read(self, key: str) -> StoredObject:
        """Read an object with what a conditional write needs.

        Raises:
            ObjectMissingError: There is none.
            ObjectStoreError: The store failed or refused.
        """
        with self._operation("get", key):
            answer = self._s3.get_object(Bucket=self.bucket, Key=key)
            data = answer["Body"].read()
        date = answer["ResponseMetadata"]["HTTPHeaders"].get("date")
        now = parsedate_to_datetime(date) if date else datetime.now(UTC)
        return StoredObject(data, answer["ETag"], max(0.0, (now - answer["LastModified"]).total_seconds()))

    def get(self, ref: ObjectRef) -> bytes:
        """Read an object and check that it is the one referred to.

        Raises:
            ObjectMissingError: There is none.
            CorruptObjectError: Its bytes are others.
            ObjectStoreError: The store failed or refused.
        """
        data = self.read(ref.key).data
        if reference(ref.key, data) != ref:
            raise CorruptObjectError(
                f"{ref.key} does not have the hash it was stored with: it was changed from outside"
            )
        return data

    def stream(self, key: str, *, etag: str | None = None) -> tuple[Iterator[bytes], int, str]:
        """Open an object for reading in parts.

        Returns:
            Its bytes in parts, its size, and its ETag.

        Raises:
            ObjectMissingError: There is none.
            PreconditionFailedError: It has `etag`, so the caller has it already (304).
            ObjectStoreError: The store failed or refused.
        """
        condition: dict[str, Any] = {"IfNoneMatch": etag} if etag else {}
        with self._operation("get", key):
            answer = self._s3.get_object(Bucket=self.bucket, Key=key, **condition)
        return answer["Body"].iter_chunks(64 * 1024), answer["ContentLength"], answer["ETag"]

    def keys(self, prefix: str) -> Iterator[str]:
        """Yield the keys under a prefix, in order.

        Raises:
            ObjectStoreError: The store failed or refused.
        """
        pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix)
        with self._operation("list", prefix):
            for page in pages:
                yield from (entry["Key"] for entry in page.get("Contents", []))

    def delete(self, keys: list[str]) -> None:
        """Delete objects; one that is not there is no error.

        Raises:
            ObjectStoreError: The store failed or refused.
        """
        for key in keys:
            with self._operation("delete", key):
                self._s3.delete_object(Bucket=self.bucket, Key=key)

    def presign(self, key: str, *, filename: str, seconds: int = 300) -> str:
        """Return an address that anybody may read the object from for some seconds, offered under a file name."""
        safe = _NO_FILE_NAME.sub("", filename) or "report"
        return self._s3.generate_presigned_url(
            "get_object",
            Params={
                "Bucket": self.bucket,
                "Key": key,
                "ResponseContentDisposition": f'attachment; filename="{safe}"',
            },
            ExpiresIn=seconds,
        )

    def prepare(self) -> None:
        """Make the bucket where it is missing, set the ledger's lifecycle rule, and check the conditional writes.

        Raises:
            ObjectStoreError: The store failed or refused.
            UnsupportedStoreError: It ignores `If-None-Match` or `If-Match`.
        """
        with self._operation("head_bucket", self.bucket):
            try:
                self._s3.head_bucket(Bucket=self.bucket)
            except ClientError as error:
                if error.response["ResponseMetadata"]["HTTPStatusCode"] != 404:
                    raise
                self._make_bucket()
        self._probe_conditions()

    def _make_bucket(self) -> None:
        try:
            self._s3.create_bucket(Bucket=self.bucket)
        except (self._s3.exceptions.BucketAlreadyOwnedByYou, self._s3.exceptions.BucketAlreadyExists):
            return  # another pod that starts at the same time was first, and sets the rule
        try:
            self._s3.put_bucket_lifecycle_configuration(
                Bucket=self.bucket,
                LifecycleConfiguration={
                    "Rules": [
                        {
                            "ID": "ledger",
                            "Status": "Enabled",
                            "Filter": {"Prefix": ids.LEDGER_PREFIX},
                            "Expiration": {"Days": self._retention_days},
                        },
                    ]
                },
            )
        except (ClientError, BotoCoreError) as error:
            # Nothing is lost without the rule, so a store that knows none is good enough.
            log.warning(
                "the new bucket has no lifecycle rule, so the ledger's objects stay for good; set one yourself",
                bucket=self.bucket,
                prefix=ids.LEDGER_PREFIX,
                days=self._retention_days,
                reason=str(error),
            )
            return
        log.info("bucket created", bucket=self.bucket, ledger_retention_days=self._retention_days)

    def _probe_conditions(self) -> None:
        key = f"probe/{secrets.token_hex(8)}"
        try:
            etag = self.put_if(key, b"1", etag=None)
            for stale in (None, '"00000000000000000000000000000000"'):
                try:
                    self.put_if(key, b"2", etag=stale)
                except PreconditionFailedError:
                    continue
                header = "If-None-Match" if stale is None else "If-Match"
                raise UnsupportedStoreError(
                    f"the object store at {self.endpoint or 'AWS'} ignores {header} on PUT, so the ledger could pay "
                    "twice on it. Use one that honours conditional writes: AWS S3, MinIO, SeaweedFS, Ceph RGW."
                )
            self.put_if(key, b"3", etag=etag)
        finally:
            self.delete([key])

    @contextmanager
    def _operation(self, name: str, key: str) -> Iterator[None]:
        """Time an operation and turn boto3's errors into ours."""
        begun = time.perf_counter()
        try:
            yield
        except (ClientError, BotoCoreError) as error:
            self._fail(error, name, key)
        finally:
            _SECONDS.labels(name).observe(time.perf_counter() - begun)

    def _fail(self, error: ClientError | BotoCoreError, name: str, key: str) -> NoReturn:
        where = f"{name} of {key!r} at {self.endpoint or 'AWS'} (bucket {self.bucket!r})"
        if isinstance(error, ClientError):
            status = error.response["ResponseMetadata"]["HTTPStatusCode"]
            code = error.response.get("Error", {}).get("Code", str(status))
            if status == 403:  # the answer to a HEAD has no body that would say more
                code += ", AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are wrong or may not use this bucket"
            if status in _BY_STATUS:
                raise _BY_STATUS[status](f"{where}: {code}") from error
            _ERRORS.labels(name).inc()
            raise ObjectStoreError(f"{where}: {code}") from error
        _ERRORS.labels(name).inc()
        raise ObjectStoreError(f"{where}: {error}") from error


async def connect(settings: ObjectStoreSettings) -> ObjectStore:
    """Return a store that is ready to use, retrying until it answers; each new reason is logged once.

    Raises:
        SystemExit: The store ignores conditional writes.
    """
    store = ObjectStore(settings)
    wait, said = 0.25, ""
    while True:
        try:
            await asyncio.to_thread(store.prepare)
        except UnsupportedStoreError as error:
            raise SystemExit(f"bad setting AWS_ENDPOINT_URL_S3: {error}") from error
        except ObjectStoreError as error:
            if str(error) != said:
                log.warning("waiting for the object store", reason=str(error))
                said = str(error)
            await asyncio.sleep(wait)
            wait = min(wait * 2, _MAX_WAIT_SECONDS)
        else:
            log.info("object store is ready", bucket=store.bucket, endpoint=store.endpoint or "AWS")
            return store


def reference(key: str, data: bytes) -> ObjectRef:
    """Return the reference to an object with these bytes."""
    return ObjectRef(key=key, sha256=hashlib.sha256(data).hexdigest(), size=len(data))
