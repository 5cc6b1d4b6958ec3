"""`captions mic`: without PortAudio or a microphone one line says what to do; with one, captions come."""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from captions.__main__ import main
from captions.cli import mic
from tests.server.harness import PATIENCE_S, serving
from tests.speech import saying, silence

NO_DEVICE = """
class PortAudioError(Exception):
    pass

class RawInputStream:
    def __init__(self, **settings):
        raise PortAudioError("Error querying device -1")
"""


def install(monkeypatch: pytest.MonkeyPatch, folder: Path, source: str) -> None:
    """A sounddevice package of our own in place of the real one."""
    (folder / "sounddevice.py").write_text(source)
    monkeypatch.syspath_prepend(folder)
    monkeypatch.delitem(sys.modules, "sounddevice", raising=False)


def failure(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["mic", *arguments]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    [line] = said.err.splitlines()
    return line


def test_without_portaudio_one_line_says_what_to_install(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    install(monkeypatch, tmp_path, "raise OSError('PortAudio library not found')")
    assert (
        failure(capsys)
        == "captions: the microphone needs PortAudio: on Debian or Ubuntu, apt-get install libportaudio2"
    )


@pytest.mark.parametrize("device", [[], ["--device", "7"], ["--device", "USB"]])
def test_without_a_microphone_one_line_says_so(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, device: list[str]
) -> None:
    install(monkeypatch, tmp_path, NO_DEVICE)
    line = failure(capsys, *device)
    assert line.startswith("captions: no microphone can be opened (Error querying device -1)")
    assert "--device" in line


class Microphone:
    """Somebody says w1 w2 w3 into it, over and over, as fast as it is listened to."""

    def __init__(self, hear: Any) -> None:
        self._hear = hear

    def __enter__(self) -> None:
        spoken = np.concatenate([*saying(1, 2, 3), *silence(12)])
        pcm = (np.tile(spoken, 3) * 32_767).astype("<i2").tobytes()
        asyncio.get_running_loop().call_later(0.1, self._play, pcm)

    def _play(self, pcm: bytes) -> None:
        for at in range(0, len(pcm), 3_840):
            self._hear(pcm[at : at + 3_840], 1_920, None, None)

    def __exit__(self, *error: object) -> None:
        pass


async def test_what_the_microphone_hears_is_captioned(
    capsys: pytest.CaptureFixture[str],
) -> None:
    async with serving() as served:
        arguments = argparse.Namespace(device=None, room="standup", name="Zoé", url=served.url, key=None, model=None)
        running = asyncio.create_task(mic.caption(arguments, lambda _device, hear: Microphone(hear)))
        shown = ""
        async with asyncio.timeout(PATIENCE_S):
            while "w2" not in shown:
                assert not running.done()
                await asyncio.sleep(0.01)
                shown += capsys.readouterr().out
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    shown += capsys.readouterr().out
    assert "w3" in shown
    assert "Zoé: w1" in shown
    kept = await served.server.rooms.transcript("standup")
    assert kept is not None
    assert kept.captions() != []
