"""Print an image's size in bytes as the nodes report it: `kubectl get nodes -o json | node_size.py IMAGE`."""

import json
import sys

sizes = {
    name: image["sizeBytes"]
    for node in json.load(sys.stdin)["items"]
    for image in node["status"].get("images", [])
    for name in image.get("names") or []
}
print(sizes.get(sys.argv[1], "not reported by the node yet"))
