"""The layers: one importer per heavy library, and stages that know nothing of sockets, threads or clocks."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "captions"
MODULES = {str(path.relative_to(PACKAGE)): path for path in sorted(PACKAGE.rglob("*.py"))}

IMPORTERS = {
    "websockets": {
        "server/port.py",
        "server/connection.py",
        "server/connections.py",
        "server/shared_frame.py",
        "client/link.py",
    },
    "onnxruntime": {"vad/silero.py", "models/moonshine/reader.py", "models/kyutai/onnx_backend/program.py"},
    "onnx": {"vad/silero_graph.py", "models/kyutai/onnx_backend/graph.py"},
    "opuslib_next": {"stream/opus.py"},
    "pylibsrtp": {"stream/srtp.py"},
    "av": {"cli/audio_file.py"},
    "moonshine_voice": {"cli/demo.py"},
    "sounddevice": {"cli/mic.py"},
    "prometheus_client": {"metrics.py"},
    "zmq": {"engine/remote_runner.py", "engine/model_host.py"},
    "jwt": {"server/tokens.py"},
    "redis": {"rooms/bus.py", "rooms/redis_client.py"},
    "msgpack": set[str](),
}
"""Who may import what; nobody need."""

ONLY_KYUTAI = ("torch", "moshi", "sentencepiece", "safetensors", "huggingface_hub")
NO_STAGE = {"asyncio", "threading", "time", "socket", "concurrent", "multiprocessing"}

ARROWS = {
    "__main__": {"cli", "client", "config", "models"},
    "cli": {
        "livekit",
        "server",
        "client",
        "cluster",
        "doors",
        "rooms",
        "models",
        "stream",
        "vad",
        "config",
        "logs",
        "types",
    },
    "server": {"logs", "cluster", "doors", "engine", "rooms", "models", "stream", "config", "metrics"},
    "livekit": {"client", "doors", "types"},
    "client": {"doors", "stream"},
    "cluster": {"rooms", "config"},
    "doors": {"engine", "rooms", "stream", "vad", "config", "metrics", "types"},
    "engine": {"models", "stream", "vad", "config", "metrics", "types"},
    "rooms": {"stream", "config", "metrics"},
    "metrics": {"stream"},
    "models": {"config", "types"},
    "stream": {"vad", "types"},
    "vad": {"types"},
    "config": set[str](),
    "logs": set[str](),
    "types": set[str](),
}
"""Each room of the house, from the top down, and the rooms below it that it may import."""


def imports(path: Path) -> set[str]:
    """Every module a file imports, wherever in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            found |= {str(node.module)} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def packages(path: Path) -> set[str]:
    return {module.partition(".")[0] for module in imports(path)}


@pytest.mark.parametrize("library", IMPORTERS)
def test_a_heavy_library_has_one_importer(library: str) -> None:
    importers = {name for name, path in MODULES.items() if library in packages(path)}
    assert importers <= IMPORTERS[library]


@pytest.mark.parametrize("library", ONLY_KYUTAI)
def test_only_kyutais_model_imports_its_libraries(library: str) -> None:
    importers = {name for name, path in MODULES.items() if library in packages(path)}
    assert {name for name in importers if not name.startswith("models/kyutai/")} == set()


@pytest.mark.parametrize(
    ("library", "modules"),
    [
        ("torch", {"attention", "backend", "encoder", "graph", "lm_step", "loading", "weights"}),
        ("moshi", {"backend", "encoder", "lm_step", "loading", "weights"}),
    ],
)
def test_only_kyutais_torch_backend_imports_torch_and_moshi(library: str, modules: set[str]) -> None:
    importers = {name for name, path in MODULES.items() if library in packages(path)}
    assert importers == {f"models/kyutai/torch_backend/{name}.py" for name in modules}


def room_of(module: str) -> str:
    """The room a file of the package is in: "stream/ear.py" is in "stream", "types.py" is a room of its own."""
    return module.partition("/")[0].removesuffix(".py")


def test_every_room_is_in_the_table() -> None:
    assert {room_of(name) for name in MODULES} - {"__init__"} == set(ARROWS)


def test_the_table_goes_down_only() -> None:
    order = list(ARROWS)
    assert [(room, below) for room in ARROWS for below in ARROWS[room] if order.index(below) <= order.index(room)] == []


@pytest.mark.parametrize("room", ARROWS)
def test_a_room_imports_only_from_those_below_it(room: str) -> None:
    used = {
        imported.split(".")[1]
        for name, path in MODULES.items()
        if room_of(name) == room
        for imported in imports(path)
        if imported.startswith("captions.") and imported.split(".")[1] in ARROWS
    }
    assert used - {room} - ARROWS[room] == set()


@pytest.mark.parametrize("module", [m for m in MODULES if m.startswith(("stream/", "vad/"))])
def test_stages_know_nothing_of_sockets_threads_or_clocks(module: str) -> None:
    assert packages(MODULES[module]) & NO_STAGE == set()


@pytest.mark.parametrize(
    "module",
    [
        f"models/{name}.py"
        for name in (
            *("scheduler", "scheduled_track", "lanes", "backlog", "plan", "trace"),
            *("moonshine/commitment", "moonshine/loops", "moonshine/words"),
        )
    ],
)
def test_what_is_pure_in_the_models_stays_so(module: str) -> None:
    assert packages(MODULES[module]) & (NO_STAGE | {"numpy", "torch"}) == set()


def test_every_module_says_what_it_is_and_what_is_public() -> None:
    for name, path in MODULES.items():
        tree = ast.parse(path.read_text(encoding="utf-8"))
        assert ast.get_docstring(tree), name
        names = [
            t.id for node in tree.body if isinstance(node, ast.Assign) for t in node.targets if isinstance(t, ast.Name)
        ]
        has_code = any(isinstance(node, ast.FunctionDef | ast.ClassDef) for node in tree.body)
        assert "__all__" in names or not has_code, name


def test_importing_the_commands_does_not_import_torch() -> None:
    check = f"import sys, captions.__main__; print([m for m in {ONLY_KYUTAI} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_one_process_knows_nothing_of_several() -> None:
    several = ("zmq", "captions.engine.relay", "captions.engine.remote_runner", "captions.server.supervisor")
    check = f"import sys, captions.cli.serve; print([m for m in {several} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
