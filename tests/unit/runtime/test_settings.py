"""Settings are refused at the door, by name, and never print a secret."""

from pathlib import Path

import pytest

from services.llm_worker.settings import LLMSettings
from services.pdf_worker.settings import PDFSettings
from services.runtime.settings import EXIT_BAD_SETTING, PodSettings, load


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No stray `.env` is read."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("cls", "name", "value"),
    [
        (PodSettings, "POD_HTTP_PORT", "seventy"),
        (PodSettings, "POD_HTTP_PORT", "70000"),
        (PodSettings, "LOG_LEVEL", "loud"),
        (LLMSettings, "S3_BUCKET", "No Bucket"),
        (LLMSettings, "LLM_MAX_CALL_SECONDS", "1701"),
        (LLMSettings, "LLM_RESUME", "maybe"),
        (LLMSettings, "LLM_API_BASE", "ftp://x"),
        (LLMSettings, "LLM_REBUY_LIMIT", "-1"),
        (PDFSettings, "PDF_CONCURRENCY", "0"),
    ],
)
def test_a_wrong_setting_is_named(
    cls: type[PodSettings], name: str, value: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit) as ended:
        load(cls)
    assert ended.value.code == EXIT_BAD_SETTING
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert name in lines[0]


def test_timeouts_must_nest(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("LLM_IDLE_SECONDS", "900")
    with pytest.raises(SystemExit):
        load(LLMSettings)
    assert "LLM_IDLE_SECONDS" in capsys.readouterr().err


def test_the_drain_follows_from_the_longest_call(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load(LLMSettings).drain_seconds == 630
    monkeypatch.setenv("LLM_MAX_CALL_SECONDS", "100")
    monkeypatch.setenv("LLM_FIRST_TOKEN_SECONDS", "50")
    assert load(LLMSettings).drain_seconds == 130


def test_a_secret_does_not_print(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLM_API_KEY", "sk-do-not-print-me")
    settings = load(LLMSettings)
    assert settings.printable()["LLM_API_KEY"] == "set"
    assert "do-not-print" not in f"{settings!r} {settings} {settings.printable()}"


def test_the_environment_wins_over_the_env_file(empty_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLM_MODEL", "openai/from-environment")
    monkeypatch.delenv("LLM_API_BASE", raising=False)
    (empty_folder / ".env").write_text("LLM_MODEL=openai/from-file\nLLM_API_BASE=http://file/v1\n")
    settings = load(LLMSettings)
    monkeypatch.delenv("LLM_API_BASE")  # load_dotenv has set it in this process
    assert (settings.llm_model, settings.llm_api_base) == ("openai/from-environment", "http://file/v1")
