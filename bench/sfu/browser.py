"""A participant in a real Chromium, whose microphone is a file."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

from playwright.async_api import Page

from bench.browser.chromium import chromium
from bench.sfu.janus import Publisher

__all__ = ["in_a_browser"]

_OFFER = """async () => {
  const asRecorded = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };
  const stream = await navigator.mediaDevices.getUserMedia({ audio: asRecorded });
  window.peer = new RTCPeerConnection();
  stream.getTracks().forEach((track) => window.peer.addTrack(track, stream));
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


@asynccontextmanager
async def in_a_browser(publisher: Publisher, name: str, recording: Path, url: str) -> AsyncIterator[Page]:
    """In the room, under a name, speaking a recording, from a page that may have the microphone; another at `url`."""
    microphone = (
        "--use-fake-ui-for-media-stream",
        "--use-fake-device-for-media-stream",
        f"--use-file-for-fake-audio-capture={recording}%noloop",
        "--disable-features=WebRtcHideLocalIpsWithMdns",
    )
    async with chromium(microphone) as browser:
        reader = await browser.new_page()
        await reader.goto(url)
        speaker = await browser.new_page()
        await speaker.goto(f"{urlsplit(url).scheme}://{urlsplit(url).netloc}/")
        await speaker.context.grant_permissions(["microphone"])
        await publisher.join(name)
        await speaker.evaluate(_ANSWER, await publisher.publish(await speaker.evaluate(_OFFER)))
        yield reader
