"""helm test: workers answer, strangers get nothing, certificates last, JupyterLab is up."""

import os
import urllib.error
import urllib.request

from distributed import Client
from distributed.core import connect

from aer_dask.clusters import certificate


def status(url: str, token: str = "") -> int:
    """What an HTTP port answers to who shows a token, or none."""
    request = urllib.request.Request(url)
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as refusal:
        return refusal.code


async def warnings(addresses: list[str], **connection: object) -> set[str]:
    """What there is to say of the certificates that processes show, each once."""
    found = set()
    for address in addresses:
        comm = await connect(address, **connection)
        found.add(certificate.warning(comm, os.environ["RELEASE"], os.environ["NAMESPACE"]))
        await comm.close()
    return found - {""}


scheduler = os.environ["SCHEDULER"]
with Client(scheduler, timeout=60) as client:
    client.wait_for_workers(1, timeout=300)
    workers = client.run(lambda: True)
    addresses = [scheduler, *workers]
    for warning in client.sync(warnings, addresses, **client.connection_args):
        print(warning)
print(f"{scheduler}: workers that answer: {len(workers)}")

file = os.environ.get("AER_DASK_HTTP_TOKEN_FILE")
if file:
    with open(file) as opened:
        token = opened.read().strip()
    for address in addresses:
        metrics = f"http://{address.split('://')[1].rpartition(':')[0]}:8787/metrics"
        found = [status(metrics), status(metrics, token)]
        if found != [403, 200]:
            raise SystemExit(f"FAILED: {metrics} answers {found} without and with the token.")
    print(f"/metrics of {len(addresses)} processes answer only with the token")

jupyter = os.environ.get("JUPYTER")
if jupyter:
    with urllib.request.urlopen(jupyter + "api", timeout=60) as answer:
        print(f"{jupyter} is JupyterLab: {answer.read().decode().strip()}")
