"""The local stack: every part a process of its own on loopback, so that it can be killed like a pod.

`tardigrade local`, the demonstrations, the tests and the benchmarks all start this one.
"""

import contextlib
import fcntl
import os
import secrets
import signal
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from services.cli import programs
from services.cli.guard import Guard
from services.cli.ports import LOOPBACK, free_port
from services.cli.process import LocalProcess, ProcessNotReadyError

SIMULATED_MODEL = "openai/simulated-model"

# What a part needs of the caller's environment to run at all; everything else is given by name.
_INHERITED = ("PATH", "LANG", "LC_ALL", "TZ", "TMPDIR")
# How the way to a real provider may have to be taken; only the LLM worker goes there.
_PROVIDER_ROUTE = ("HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy", "SSL_CERT_FILE", "SSL_CERT_DIR")


class StackInUseError(Exception):
    """Another stack runs on the same state."""


class LocalStack:
    """Temporal, an object store, the workers, the gateway and, unless a real provider is used, the simulator.

    Attributes:
        state_dir: Holds everything that survives: Temporal's database, the bucket, the credentials, the logs.
        temporal: Temporal's development server.
        object_store: SeaweedFS.
        simulator: The simulated provider; started only where it is used.
        orchestrator: The workflow worker.
        llm_worker: The LLM worker.
        pdf_worker: The PDF worker.
        gateway: The HTTP API; `url` is its API, not its pod port.
    """

    def __init__(
        self,
        state_dir: Path,
        *,
        simulator: bool = True,
        simulator_options: Sequence[str] = (),
        llm_env: Mapping[str, str] | None = None,
        gateway_port: int | None = None,
        temporal_port: int | None = None,
        temporal_ui_port: int | None = None,
        s3_port: int | None = None,
        web_ui: bool = True,
        in_memory: bool = False,
    ) -> None:
        """Describe the stack; nothing is started, and `env` and `argv` of each part may still be changed.

        Args:
            state_dir: Made where it is missing. The same one again continues where the last stack stopped.
            simulator: The LLM worker talks to the simulator, with a made-up key.
            simulator_options: Its command line, such as `["--ttft", "0.2"]`.
            llm_env: `LLM_…` variables of the LLM worker, over the simulator's.
            gateway_port: Port of the API; `None`, here and below: a free one.
            temporal_port: Temporal's gRPC port.
            temporal_ui_port: Port of Temporal's web interface.
            s3_port: Port of the object store.
            web_ui: Start Temporal's web interface.
            in_memory: Temporal keeps nothing on disk, so its stop loses everything.

        Raises:
            MissingProgramError: A server is not installed.
        """
        self.state_dir = state_dir.resolve()
        self.state_dir.mkdir(parents=True, exist_ok=True)
        self._guard: Guard | None = None
        self._lock: IO[bytes] | None = None
        self._further: list[LocalProcess] = []
        config = self.state_dir / "s3.json"
        self._s3 = programs.S3Credentials.of(config)
        s3_port, temporal_port = s3_port or free_port(), temporal_port or free_port()
        self.temporal_address = f"{LOOPBACK}:{temporal_port}"
        self.temporal_ui_url = f"http://{LOOPBACK}:{temporal_ui_port or free_port()}" if web_ui else ""

        http_port, ui_port = free_port(), int(self.temporal_ui_url.rpartition(":")[2]) if web_ui else None
        self.temporal = self._process(
            "temporal",
            programs.temporal(self.state_dir, temporal_port, http_port, ui_port, in_memory=in_memory),
            port=http_port,
            ready_path="/api/v1/namespaces/default",
        )
        self.object_store = self._process(
            "object-store",
            programs.seaweedfs(self.state_dir, s3_port, config),
            port=s3_port,
            ready_path="/healthz",
        )
        port = free_port()
        self.simulator = self._process(
            "simulator",
            _module("simulator", "--host", LOOPBACK, "--port", str(port), *simulator_options),
            port=port,
        )
        self._uses_simulator = simulator
        self._llm_env = {**(self._simulated() if simulator else _route()), **(llm_env or {})}
        self.orchestrator = self._service("orchestrator")
        self.llm_worker = self._service("llm_worker", self.s3_env, self._llm_env)
        self.pdf_worker = self._service("pdf_worker", self.s3_env)
        self.gateway = self._gateway(gateway_port or free_port())

    @property
    def gateway_url(self) -> str:
        """Address of the HTTP API."""
        return self.gateway.url

    @property
    def s3_endpoint(self) -> str:
        """Address of the object store."""
        return self.object_store.url

    @property
    def simulator_url(self) -> str:
        """Address of the simulator, without `/v1`."""
        return self.simulator.url

    @property
    def temporal_env(self) -> dict[str, str]:
        """What a client of this Temporal needs in its environment."""
        return {"TEMPORAL_ADDRESS": self.temporal_address, "TEMPORAL_NAMESPACE": "default"}

    @property
    def s3_env(self) -> dict[str, str]:
        """What a client of this object store needs in its environment, the credentials included."""
        return {
            "AWS_ENDPOINT_URL_S3": self.s3_endpoint,
            "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": self._s3.access_key,
            "AWS_SECRET_ACCESS_KEY": self._s3.secret_key,
            "S3_BUCKET": "tardigrade",
        }

    @property
    def provider_env(self) -> dict[str, str]:
        """What the LLM worker is told of the provider, the key included."""
        return dict(self._llm_env)

    @property
    def processes(self) -> list[LocalProcess]:
        """Every part that this stack starts."""
        provider = [self.simulator] if self._uses_simulator else []
        return [*self._servers, *provider, *self._services]

    @property
    def _servers(self) -> list[LocalProcess]:
        return [self.temporal, self.object_store]

    @property
    def _services(self) -> list[LocalProcess]:
        # The slowest to start first.
        return [self.llm_worker, self.pdf_worker, self.gateway, self.orchestrator, *self._further]

    def start(self, parts: Iterable[LocalProcess] | None = None, *, deadline_seconds: float = 60) -> None:
        """Start the parts at once and wait until each is ready; on failure everything is stopped again.

        Args:
            parts: Which; `None`: all.
            deadline_seconds: For all of them together.

        Raises:
            StackInUseError: Another stack runs on the same state.
            ProcessNotReadyError: A part ended or was not ready in time; the message ends with its log's tail.
        """
        self._claim_state()
        if self._guard is None:
            self._guard = Guard()
        wanted = self.processes if parts is None else list(parts)
        try:
            for process in wanted:
                process.start(self._guard)
            self._wait_ready(wanted, deadline_seconds)
        except BaseException:
            self.stop(grace_seconds=0)
            raise

    def add_worker(self, service: str) -> LocalProcess:
        """Start one more `llm_worker`, `pdf_worker` or `orchestrator` and return it, not yet ready."""
        env = {"llm_worker": [self.s3_env, self._llm_env], "pdf_worker": [self.s3_env], "orchestrator": []}[service]
        worker = self._service(service, *env, suffix=f"-{len(self._further) + 2}")
        self._further.append(worker)
        worker.start(self._guard)
        return worker

    def stop(self, *, grace_seconds: float = 5) -> None:
        """End every part: the services first, then what they need; SIGKILL for those that still run after the grace.

        A report in the making loses nothing by it: it goes on when a stack starts on the same state.
        """
        for group in ([*self._services, self.simulator], self._servers):
            running = [process for process in group if process.running]
            for process in running:
                process.signal(signal.SIGTERM)
            deadline = time.monotonic() + grace_seconds
            for process in running:
                with contextlib.suppress(TimeoutError):
                    process.wait(max(0.0, deadline - time.monotonic()))
        for process in [*self._services, self.simulator, *self._servers]:
            process.kill()
        if self._guard is not None:
            self._guard.close()
            self._guard = None
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def log_tails(self) -> str:
        """Return the end of every part's log."""
        return "\n".join(f"--- {process.log_path}\n{process.log_tail()}" for process in self.processes)

    def _wait_ready(self, processes: list[LocalProcess], deadline_seconds: float) -> None:
        deadline = time.monotonic() + deadline_seconds
        waiting = list(processes)
        while waiting:
            for process in waiting:
                process.check_running()
            waiting = [process for process in waiting if not process.ready()]
            if waiting and time.monotonic() > deadline:
                names = ", ".join(process.name for process in waiting)
                raise ProcessNotReadyError(str(waiting[0].not_ready(f"was not ready in time (waiting for {names})")))
            if waiting:
                time.sleep(0.05)

    def _claim_state(self) -> None:
        if self._lock is not None:
            return
        lock = (self.state_dir / "lock").open("wb")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            raise StackInUseError(
                f"A local stack already runs on {self.state_dir}. Stop it, or choose another folder with --state-dir."
            ) from None
        self._lock = lock

    def _simulated(self) -> dict[str, str]:
        return {
            "LLM_API_KEY": f"sk-simulated-{secrets.token_hex(12)}",
            "LLM_MODEL": SIMULATED_MODEL,
            "LLM_API_BASE": f"{self.simulator.url}/v1",
        }

    def _service(self, service: str, *env: Mapping[str, str], suffix: str = "") -> LocalProcess:
        port = free_port()
        return self._process(
            f"{service.replace('_', '-')}{suffix}",
            _module(service),
            self._pod_env(port),
            *env,
            port=port,
        )

    def _gateway(self, port: int) -> LocalProcess:
        env = {**self._pod_env(free_port()), "GATEWAY_HOST": LOOPBACK, "GATEWAY_PORT": str(port)}
        if self.temporal_ui_url:
            env["TEMPORAL_UI_URL"] = self.temporal_ui_url
        return self._process("gateway", _module("gateway"), env, self.s3_env, port=port, ready_path="/healthz")

    def _pod_env(self, port: int) -> dict[str, str]:
        return {"POD_HTTP_HOST": LOOPBACK, "POD_HTTP_PORT": str(port), **self.temporal_env}

    def _process(
        self, name: str, argv: list[str], *env: Mapping[str, str], port: int, ready_path: str = "/readyz"
    ) -> LocalProcess:
        whole = {name: os.environ[name] for name in _INHERITED if name in os.environ}
        whole["HOME"] = str(self.state_dir)  # programs that keep something in the home directory keep it here
        for part in env:
            whole.update(part)
        url = f"http://{LOOPBACK}:{port}"
        return LocalProcess(name, argv, whole, state_dir=self.state_dir, url=url, ready_path=ready_path)


def _module(service: str, *arguments: str) -> list[str]:
    return [sys.executable, "-m", f"services.{service}", *arguments]


def _route() -> dict[str, str]:
    return {name: os.environ[name] for name in _PROVIDER_ROUTE if name in os.environ}
