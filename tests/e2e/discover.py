"""Finds pods by their `prometheus.io` annotations and tells Prometheus, which asks by HTTP.

Prometheus can do this itself, but not as every distribution builds it. Runs beside it, with the standard library only:
`discover.py NAMESPACE`.
"""

import json
import ssl
import sys
import urllib.request
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
PREFIX = "prometheus.io/"


def targets(namespace: str) -> list[dict[str, Any]]:
    """Return a target for each pod that is annotated to be scraped."""
    request = urllib.request.Request(
        f"https://kubernetes.default.svc/api/v1/namespaces/{namespace}/pods",
        headers={"Authorization": f"Bearer {(ACCOUNT / 'token').read_text()}"},
    )
    trust = ssl.create_default_context(cafile=str(ACCOUNT / "ca.crt"))
    trust.verify_flags &= ~ssl.VERIFY_X509_STRICT  # not every cluster's CA says what its key is for
    with urllib.request.urlopen(request, context=trust, timeout=5) as answer:
        pods = json.load(answer)["items"]
    found = []
    for pod in pods:
        asked = pod["metadata"].get("annotations", {})
        if asked.get(f"{PREFIX}scrape") == "true" and pod["status"].get("podIP"):
            labels = {
                "__metrics_path__": asked[f"{PREFIX}path"],
                "instance": pod["metadata"]["name"],
                "job": pod["metadata"]["labels"]["app.kubernetes.io/component"],
            }
            found.append({"targets": [f"{pod['status']['podIP']}:{asked[f'{PREFIX}port']}"], "labels": labels})
    return found


class Handler(BaseHTTPRequestHandler):
    """Answers with the targets as they are now."""

    def do_GET(self) -> None:
        """Answer."""
        body = json.dumps(targets(sys.argv[1])).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    HTTPServer(("127.0.0.1", 8000), Handler).serve_forever()
