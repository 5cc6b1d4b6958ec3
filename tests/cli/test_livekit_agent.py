"""`captions livekit-agent`: what it asks for before it goes to LiveKit."""

from __future__ import annotations

import pytest

from captions.__main__ import main


def test_livekits_address_and_keys_are_asked_for_by_name(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("LIVEKIT_URL", "LIVEKIT_API_SECRET"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LIVEKIT_API_KEY", "key")
    assert main(["livekit-agent"]) == 1
    assert "set LIVEKIT_URL, LIVEKIT_API_SECRET in the environment" in capsys.readouterr().err
