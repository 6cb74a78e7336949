"""helm test: workers answer, strangers get nothing, certificates last, JupyterLab is up."""

import os
import urllib.error
import urllib.request
from pathlib import Path

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


async def warning(address: str, **connection: object) -> str:
    """What there is to say of the certificate that a process shows."""
    comm = await connect(address, **connection)
    said = certificate.warning(comm, os.environ["RELEASE"], os.environ["NAMESPACE"])
    await comm.close()
    return said


def check_metrics(address: str, token: str) -> None:
    """End the test unless a process shows its metrics to who has the token, and to no other."""
    metrics = f"http://{address.split('://')[1].rpartition(':')[0]}:8787/metrics"
    found = [status(metrics), status(metrics, token)]
    if found != [403, 200]:
        raise SystemExit(f"FAILED: {metrics} answers {found} without and with the token.")


scheduler = os.environ["SCHEDULER"]
file = os.environ.get("AER_DASK_HTTP_TOKEN_FILE")
token = Path(file).read_text().strip() if file else ""
warnings = set()
with Client(scheduler, timeout=60) as client:
    client.wait_for_workers(1, timeout=300)
    answered = []
    for address in [scheduler, *client.nthreads()]:
        try:
            if address != scheduler:
                client.run(lambda: True, workers=[address])
            warnings.add(client.sync(warning, address, **client.connection_args))
            if token:
                check_metrics(address, token)
        except OSError:  # it has gone meanwhile, as where it is scaled down, or is broken
            if address in [scheduler, *client.nthreads()]:
                raise
        else:
            answered.append(address)
for each in warnings - {""}:
    print(each)
if len(answered) < 2:
    raise SystemExit("FAILED: all workers have gone meanwhile.")
print(f"{scheduler}: workers that answer: {len(answered) - 1}")
if token:
    print(f"/metrics of {len(answered)} processes answer only with the token")

jupyter = os.environ.get("JUPYTER")
if jupyter:
    with urllib.request.urlopen(jupyter + "api", timeout=60) as answer:
        print(f"{jupyter} is JupyterLab: {answer.read().decode().strip()}")
