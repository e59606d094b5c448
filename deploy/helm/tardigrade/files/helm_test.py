"""What `helm test` runs, in the gateway's image: `helm_test.py gateway|metrics|report`. Standard library only."""

import json
import os
import re
import secrets
import socket
import sys
import time
import urllib.request

GATEWAY = os.environ["GATEWAY"]
QUEUES = ("tardigrade-workflows", "tardigrade-llm", "tardigrade-pdf")


def fetch(url: str, body: dict[str, str] | None = None) -> bytes:
    """Return what the address answers; raise on any status but 2xx."""
    headers = {"content-type": "application/json", "idempotency-key": secrets.token_hex(8)}
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data=data, headers=headers if data else {})  # noqa: S310  http of this release
    with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
        content: bytes = answer.read()
    return content


def gateway() -> None:
    """The gateway is healthy."""
    print("healthz:", fetch(f"{GATEWAY}/healthz").decode())


def metrics() -> None:
    """Each worker's page is served and says that it polls its queue."""
    polled: dict[str, int] = {}
    for *_, address in socket.getaddrinfo(os.environ["PODS"], 9090, socket.AF_INET, socket.SOCK_STREAM):
        page = fetch(f"http://{address[0]}:9090/metrics").decode()
        for queue in set(re.findall(r'^temporal_num_pollers\{.*task_queue="([^"]+)"[^}]*\} [1-9]', page, re.MULTILINE)):
            polled[queue] = polled.get(queue, 0) + 1
    print("pods that poll:", polled)
    missing = [queue for queue in QUEUES if queue not in polled]
    if missing:
        raise SystemExit(f"no pod polls {', '.join(missing)}")


def report() -> None:
    """A small report becomes a PDF."""
    made = json.loads(fetch(f"{GATEWAY}/v1/reports", {"prompt": "helm test: one fact about tardigrades"}))
    print("made:", made["id"])
    deadline = time.monotonic() + 240
    while made["status"] in ("queued", "in_progress"):
        if time.monotonic() > deadline:
            raise SystemExit(f"not done after 240 s: {json.dumps(made)}")
        time.sleep(1)
        made = json.loads(fetch(f"{GATEWAY}/v1/reports/{made['id']}"))
    if made["status"] != "completed":
        raise SystemExit(f"the report ended as {made['status']}: {json.dumps(made['error'])}")
    pdf = fetch(f"{GATEWAY}/v1/reports/{made['id']}/pdf")
    if not pdf.startswith(b"%PDF-"):
        raise SystemExit(f"not a PDF: {pdf[:40]!r}")
    print("PDF:", len(pdf), "bytes")


{"gateway": gateway, "metrics": metrics, "report": report}[sys.argv[1]]()
