"""A participant in a real Chromium, whose microphone is a file, and a reader of the captions beside them.

Both pages tell when something was so by the browser's own clock: when audio came out of the microphone, and when a
caption was painted.
"""

from __future__ import annotations

import wave
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
from playwright.async_api import Page

from bench.browser.chromium import chromium
from bench.browser.measures import PROBE
from bench.load.clips import CLIP_RATE
from bench.measure.events import SentAudio
from bench.sfu.janus import Publisher
from captions.types import Pcm

__all__ = ["Browsing", "in_a_browser"]

_LOUD = 0.05
"""Of a full scale: above it begins what is said. Recorded and heard are laid over one another there."""
_STEP_S = 0.001

_OFFER = """async (loud) => {
  const asRecorded = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };
  const stream = await navigator.mediaDevices.getUserMedia({ audio: asRecorded });
  const [track] = stream.getAudioTracks();
  const said = window.said = { began: Infinity, loudAt: null };
  const read = async () => {
    let heard = 0;
    for await (const audio of new MediaStreamTrackProcessor({ track, maxBufferSize: 100 }).readable) {
      const samples = new Float32Array(audio.numberOfFrames);
      audio.copyTo(samples, { planeIndex: 0, format: "f32-planar" });
      const place = samples.findIndex((sample) => Math.abs(sample) > loud);
      if (said.loudAt === null && place >= 0) said.loudAt = heard + place / audio.sampleRate;
      heard += audio.numberOfFrames / audio.sampleRate;
      // Of all frames the one that was waited for least says best when the first began.
      said.began = Math.min(said.began, (performance.timeOrigin + performance.now()) / 1_000 - heard);
      audio.close();
    }
  };
  read();
  window.peer = new RTCPeerConnection();
  window.peer.addTrack(track, stream);
  await window.peer.setLocalDescription();
  if (window.peer.iceGatheringState !== "complete") {
    await new Promise((done) => window.peer.addEventListener("icegatheringstatechange", () =>
      window.peer.iceGatheringState === "complete" && done()));
  }
  return window.peer.localDescription.sdp;
}"""
_ANSWER = """async (sdp) => {
  await window.peer.setRemoteDescription({ type: "answer", sdp });
  if (window.peer.connectionState !== "connected") {
    await new Promise((done) => window.peer.addEventListener("connectionstatechange", () =>
      window.peer.connectionState === "connected" && done()));
  }
}"""


class Browsing:
    """Two pages: `reader` has the captions, the other one speaks. Moments are seconds since 1970, the browser's."""

    def __init__(self, reader: Page, speaker: Page, pcm: Pcm) -> None:
        self.reader = reader
        self._speaker = speaker
        self._pcm = pcm

    async def said(self) -> SentAudio:
        """When each millisecond of the recording came out of the microphone."""
        heard = await self._speaker.evaluate("window.said")
        loud_at = int(np.argmax(np.abs(self._pcm) > _LOUD)) / CLIP_RATE
        began_at = heard["began"] + heard["loudAt"] - loud_at
        ends = [(step + 1) * _STEP_S for step in range(round(len(self._pcm) / CLIP_RATE / _STEP_S))]
        return SentAudio(ends, [began_at + end for end in ends])

    async def painted(self) -> dict[tuple[str, int], float]:
        """When the frame that shows a revision of a segment was on the screen."""
        keys = {}
        for key, _, painted_ms in await self.reader.evaluate("probe.messages"):
            segment, _, revision = key.rpartition("/")
            keys[segment, int(revision)] = painted_ms / 1_000
        return keys


@asynccontextmanager
async def in_a_browser(publisher: Publisher, name: str, pcm: Pcm, folder: Path, url: str) -> AsyncIterator[Browsing]:
    """In the room, under a name, speaking what is kept in a folder for it; a reader is at `url`.

    `pcm` is mono at 48 kHz. It should begin with a second of silence: the microphone begins before the room hears it.
    """
    recording = _recorded(pcm, folder / "microphone.wav")
    microphone = (
        "--use-fake-ui-for-media-stream",
        "--use-fake-device-for-media-stream",
        f"--use-file-for-fake-audio-capture={recording}%noloop",
        "--disable-features=WebRtcHideLocalIpsWithMdns",
    )
    async with chromium(microphone) as browser:
        reader = await browser.new_page()
        await reader.add_init_script(f"{PROBE}\nprobe.timed = true;")
        await reader.goto(url)
        speaker = await browser.new_page()
        await speaker.goto(f"{urlsplit(url).scheme}://{urlsplit(url).netloc}/")
        await speaker.context.grant_permissions(["microphone"])
        await reader.bring_to_front()
        await publisher.join(name)
        await speaker.evaluate(_ANSWER, await publisher.publish(await speaker.evaluate(_OFFER, _LOUD)))
        yield Browsing(reader, speaker, pcm)


def _recorded(pcm: Pcm, path: Path) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(CLIP_RATE)
        file.writeframes((pcm * 32_767).astype("<i2").tobytes())
    return path
