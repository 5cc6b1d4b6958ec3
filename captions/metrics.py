"""Every Prometheus object of the service, with its unit and meaning. Nothing here carries a word or a name."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from captions.stream.figures import FIGURES, PARTS

__all__ = ["Metrics"]

_MEANING = {figure.name: figure.meaning for figure in FIGURES}

_AROUND_A_FRAME = (0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.12, 0.16, 0.24, 0.32, 0.5, 0.8, 1.5, 3.0, 6.0)
_LATENCY = (0.08, 0.16, 0.24, 0.32, 0.4, 0.5, 0.65, 0.8, 1.0, 1.3, 1.6, 2.0, 2.5, 3.0, 4.0, 6.0, 10.0, 20.0)


class Metrics:
    """One server's metrics, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        r = self.registry
        self.connections = Gauge("captions_connections", "Open WebSocket connections", ["route"], registry=r)
        self.tracks = Gauge("captions_tracks", "Tracks that are being published", registry=r)
        self.tracks_speaking = Gauge("captions_tracks_speaking", "Tracks whose speech gate is open", registry=r)
        self.tracks_waiting = Gauge("captions_tracks_waiting", "Tracks that speak and have no lane", registry=r)
        self.lanes = Gauge("captions_lanes", "Lanes the model has", registry=r)
        self.full_step_seconds = Gauge(
            "captions_full_step_seconds",
            "Time of a step of so many lanes that all have a frame, as measured when the model was loaded",
            ["lanes"],
            registry=r,
        )
        self.lanes_in_use = Gauge("captions_lanes_in_use", "Lanes that hold a track's context", registry=r)
        self.lanes_busy = Gauge("captions_lanes_busy", "Lanes whose track speaks or is owed words", registry=r)
        self.steps = Counter("captions_steps", "Model steps", registry=r)
        self.lane_steps = Counter("captions_lane_steps", "Lanes stepped, over all model steps", registry=r)
        self.step_seconds = self._histogram("captions_step_seconds", "Time of one model step", _AROUND_A_FRAME)
        self.lane_wait_seconds = self._histogram(
            "captions_lane_wait_seconds",
            "From a track's first speech to its lane, of those that got one",
            _AROUND_A_FRAME,
        )
        self.stalls = Counter("captions_stalls", "Lanes reset because they heard speech and said nothing", registry=r)
        self.word_latency_seconds = self._histogram("captions_word_latency_seconds", _MEANING["word_latency"], _LATENCY)
        self.word_latency_part_seconds = Histogram(
            "captions_word_latency_part_seconds",
            "The parts of word latency: " + ", ".join(PARTS),
            ["part"],
            buckets=(0.001, *_AROUND_A_FRAME),
            registry=r,
        )
        self.word_latency_parts = [(part, self.word_latency_part_seconds.labels(part=part)) for part in PARTS]
        self.first_partial_seconds = self._histogram(
            "captions_first_partial_seconds", _MEANING["first_partial"], _LATENCY
        )
        self.ttfs_seconds = self._histogram("captions_ttfs_seconds", _MEANING["ttfs"], _LATENCY)
        self.words = Counter("captions_words", "Committed words", registry=r)
        self.segments = Counter("captions_segments", "Final segments", registry=r)
        self.audio_seconds = Counter("captions_audio_seconds", "Audio decoded and heard, over all tracks", registry=r)
        self.dropped_audio_seconds = Counter(
            "captions_dropped_audio_seconds", "Audio never transcribed, by reason", ["reason"], registry=r
        )
        self.packets_dropped = Counter(
            "captions_packets_dropped",
            "Packets that were not heard, by reason",
            ["reason"],
            registry=r,
        )
        self.concealed_audio_seconds = Counter(
            "captions_concealed_audio_seconds", "Audio lost on the network and made up by the decoder", registry=r
        )
        self.errors = Counter("captions_errors", "Errors told to clients, by code", ["code"], registry=r)
        self.readers_dropped = Counter(
            "captions_readers_dropped", "Connections closed because they read too slowly", ["route"], registry=r
        )
        self.revisions_skipped = Counter(
            "captions_revisions_skipped",
            "Revisions for which readers got a newer one, by who was behind: this node, for all of a room, or a reader",
            ["behind"],
            registry=r,
        )
        self.bus_up = Gauge("captions_bus_up", "What is said at the other nodes comes here: 1, else 0", registry=r)
        self.bus_waiting_bytes = Gauge(
            "captions_bus_waiting_bytes", "What the other nodes have not been told yet", registry=r
        )
        self.bus_published = Counter("captions_bus_published", "Revisions told to the other nodes", registry=r)
        self.bus_received = Counter("captions_bus_received", "Revisions that other nodes told", registry=r)
        self.segments_interrupted = Counter(
            "captions_segments_interrupted", "Segments that lost nodes left open, closed by this one", registry=r
        )
        self.bus_lost = Counter("captions_bus_lost", "Revisions that no other node was ever told", registry=r)

        self.fullness = Gauge(
            "captions_fullness",
            "How full this node is, 0 to 1: of whatever it has least of left",
            registry=r,
        )
        self.limit_used = Gauge("captions_limit_used", "How much of a limit is used up, 0 to 1", ["limit"], registry=r)
        # The names that dashboards of Kyutai's server know, where they mean the same here.
        self.asr_open_channels = Gauge("asr_open_channels", "Open connections on Kyutai's protocol", registry=r)
        self.asr_connect = Gauge("asr_connect", "Connections so far on Kyutai's protocol", registry=r)
        self.asr_model_step_duration = self._histogram(
            "asr_model_step_duration", "Time of one model step in seconds", (0.02, 0.03, 0.04, 0.05, 0.06, 0.07, 0.08)
        )

    def _histogram(self, name: str, text: str, buckets: tuple[float, ...]) -> Histogram:
        return Histogram(name, text, buckets=buckets, registry=self.registry)

    def exposition(self) -> bytes:
        """The text a Prometheus server scrapes."""
        return generate_latest(self.registry)
