"""What the gateway says to a scheduler: over TLS, with the cluster's certificate at both ends.

Dask Gateway posts its messages to schedulers over plain http. Ours listen with TLS there
(`af_hub.compute.preload`), so the gateway has to speak it. It never speaks Dask's own protocol to a
scheduler: that is the user's process, and Dask's messages may hold pickles.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import tempfile
from functools import lru_cache
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import aiohttp
from dask_gateway_server import models
from dask_gateway_server.backends.base import PublicException
from dask_gateway_server.backends.db_base import DBBackendBase

from af_hub.errors import ComputeError

if TYPE_CHECKING:
    from af_hub.secret import Secret

TIMEOUT = aiohttp.ClientTimeout(total=15, connect=5)
"""Seconds for one message."""
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 5.0
"""Seconds between attempts at a message of Dask Gateway's own, doubled each time."""
LARGEST_ANSWER = 4096
"""Bytes that are read of an answer; the scheduler is the user's."""
MOST = 100_000
"""Processes of a cluster that an answer may speak of."""
SILENCE = (aiohttp.ClientError, TimeoutError, OSError)
"""Nobody answered, or with an error."""
NONSENSE = (ValueError, KeyError, TypeError, RecursionError)
"""What was answered is none of our scheduler's answers."""


class EncryptedBackend(DBBackendBase):  # type: ignore[misc]  # upstream has no types
    """Dask Gateway's database backend, with TLS on its way to schedulers."""

    async def forward_message_to_scheduler(
        self, cluster: models.Cluster, msg: dict[str, Any]
    ) -> None:
        """Send a message of Dask Gateway's own.

        As upstream's method of this name, but over TLS: a scheduler that does not answer in
        several attempts ends the cluster.

        Raises
        ------
        PublicException
            The cluster does not run.
        """
        if cluster.status != models.ClusterStatus.RUNNING:
            raise PublicException(f"cluster {cluster.name} is not running")
        pause = FIRST_PAUSE
        for left in reversed(range(max(self.scheduler_api_retries, 1))):
            try:
                await _send(self.session, "POST", cluster, "/api/comm", msg)
            except SILENCE as error:
                self.log.warning(
                    "cluster %s: no answer to a message [%s]", cluster.name, type(error).__name__
                )
            else:
                return
            if left:
                await asyncio.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE)
        await self.stop_cluster(cluster.name, failed=True)
        raise PublicException(f"cluster {cluster.name} is not running")

    async def send_token(self, name: str, token: Secret) -> None:
        """Put a user's token to the scheduler of a cluster, and wait until the workers have it.

        Raises
        ------
        ComputeError
            ``plain-text``: something of the cluster is not encrypted, and nothing was sent or
            kept. ``scheduler-unreachable``. ``token-not-written``: by some of the processes.
        """
        await put_token(self.session, self.db.get_cluster(name).to_model(), token)


async def put_token(session: aiohttp.ClientSession, cluster: models.Cluster, token: Secret) -> None:
    """Put a user's token to a scheduler; see `EncryptedBackend.send_token`."""
    if not (
        cluster.api_address.startswith("https://")
        and cluster.scheduler_address.startswith("tls://")
    ):
        raise _plain_text()
    try:
        said = await _send(session, "PUT", cluster, "/api/af/token", {"token": token.reveal()})
        kept, failed = _counts(said)
    except aiohttp.ClientResponseError as error:
        if error.status == HTTPStatus.CONFLICT:
            raise _plain_text() from None
        raise _no_answer(f"status {error.status}") from None
    except (*SILENCE, *NONSENSE) as error:
        # not its text: it may be what the scheduler said
        raise _no_answer(type(error).__name__) from None
    if failed:
        raise ComputeError(
            "token-not-written",
            f"{failed} of {kept + failed} processes of the cluster cannot write the new token; "
            "is the disk full?",
        )


async def _send(
    session: aiohttp.ClientSession,
    method: str,
    cluster: models.Cluster,
    path: str,
    message: dict[str, Any],
) -> bytes:
    """Send JSON and return the beginning of the answer."""
    async with session.request(
        method,
        cluster.api_address + path,
        json=message,
        headers={"Authorization": f"token {cluster.token}"},
        ssl=ssl_context(cluster.tls_cert, cluster.tls_key),
        timeout=TIMEOUT,
        allow_redirects=False,
        raise_for_status=True,
    ) as answer:
        said: bytes = await answer.content.read(LARGEST_ANSWER)
        return said


def _counts(said: bytes) -> tuple[int, int]:
    """Read how many processes have a new token, and how many could not write it."""
    counts = json.loads(said)
    kept, failed = counts["kept"], counts["failed"]
    for count in (kept, failed):
        if type(count) is not int or not 0 <= count <= MOST:
            raise ValueError
    return kept, failed


def _plain_text() -> ComputeError:
    return ComputeError(
        "plain-text", "The cluster's connections are not all encrypted, so it gets no token."
    )


def _no_answer(detail: str) -> ComputeError:
    return ComputeError(
        "scheduler-unreachable", "The cluster does not take its new token now.", detail
    )


@lru_cache(maxsize=512)
def ssl_context(certificate: bytes, key: bytes) -> ssl.SSLContext:
    """Return the TLS settings of one cluster: it trusts this certificate alone, and shows it.

    Making them takes a millisecond, once for each cluster.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # the certificate is the cluster's own; at which address it is, does not matter
    context.check_hostname = False
    context.load_verify_locations(cadata=certificate.decode())
    # OpenSSL reads keys from files only
    with tempfile.NamedTemporaryFile(prefix="af-channel-") as file:  # mode 0600
        file.write(certificate + b"\n" + key)
        file.flush()
        context.load_cert_chain(file.name)
    return context
