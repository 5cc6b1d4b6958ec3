"""The worker to which LiveKit dispatches rooms: each is a job, in a process that the framework starts for it."""

from __future__ import annotations

from functools import partial

from livekit.agents import AgentServer, AutoSubscribe, JobContext

from captions.livekit.room_captions import RoomCaptions

__all__ = ["caption_room", "worker"]


async def caption_room(context: JobContext, *, url: str, key: str | None, language: str) -> None:
    """A job: join the room for its audio alone, and caption it to its end."""
    await context.connect(auto_subscribe=AutoSubscribe.AUDIO_ONLY)
    await RoomCaptions(context.room, url, key, language).run()


def worker(
    url: str, key: str | None, language: str, *, livekit_url: str, api_key: str, api_secret: str, agent_name: str
) -> AgentServer:
    """Captions by the server at `url`, in the rooms of LiveKit at `livekit_url`.

    Without an `agent_name` every new room is dispatched to it; with one, those for which it is asked by that name.
    """
    server = AgentServer(ws_url=livekit_url, api_key=api_key, api_secret=api_secret)
    job = partial(caption_room, url=url, key=key, language=language)
    server.rtc_session(job, agent_name=agent_name)
    return server
