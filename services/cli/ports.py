"""Free ports of the loopback interface."""

import random
import socket

LOOPBACK = "127.0.0.1"

# Below the range from which Linux takes the local ports of outgoing connections (32768 up), so that a port stays free
# between choosing and listening, and while its process is down.
_FIRST, _LAST = 20_000, 32_000
_ATTEMPTS = 200

_random = random.SystemRandom()
_taken: set[int] = set()


def is_free(port: int) -> bool:
    """Tell whether somebody could listen on the port now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def free_port() -> int:
    """Return a free port that this process has not been given before.

    Raises:
        OSError: None was found.
    """
    for _ in range(_ATTEMPTS):
        port = _random.randint(_FIRST, _LAST)
        if port not in _taken and is_free(port):
            _taken.add(port)
            return port
    raise OSError(f"no free port between {_FIRST} and {_LAST} in {_ATTEMPTS} attempts")
