"""Bringing a checkpoint's files from the model hub. It needs no torch, so that fetching ahead works without it."""

from __future__ import annotations

import socket
import threading
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from huggingface_hub import constants, hf_hub_download
from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError, HFValidationError, LocalEntryNotFoundError
from huggingface_hub.utils import logging as hub_logging

from captions.models.kyutai.config import CONFIG_NAME, file_names
from captions.models.kyutai.files import first_line, read_json
from captions.models.model import ModelError

__all__ = ["hub_answers", "hub_file", "pull"]

ANSWERS_WITHIN_S = 2.0
"""A connection takes less on any network; how long the download then takes is not bounded."""


def pull(name: str) -> Path:
    """Bring all files of a checkpoint on the model hub onto this machine, with a progress bar for each.

    Returns the folder they are in. Files that are here already are not brought again.

    Raises:
        ModelError: no network, no such model, or not a checkpoint of this kind.
    """
    config = hub_file(name, CONFIG_NAME)
    for file in file_names(read_json(config)).values():
        hub_file(name, file)
    return config.parent


def hub_file(name: str, file: str) -> Path:
    """One file of a checkpoint, brought onto this machine if it is not here yet.

    The hub's package retries for some 20 s and logs five lines each time. So it is kept quiet, and asked only for files
    on this machine if the hub does not answer at all.

    Raises:
        ModelError: as `pull`.
    """
    hub_logging.set_verbosity_error()
    try:
        return Path(hf_hub_download(name, file, local_files_only=not hub_answers()))
    except LocalEntryNotFoundError:
        raise ModelError(
            f"{name} is not on this machine and the model hub cannot be reached; "
            f"where it can: captions models pull {name}"
        ) from None
    except EntryNotFoundError:
        raise ModelError(f"{name} on the model hub has no {file}: it is not a checkpoint of this kind") from None
    except HFValidationError:
        raise ModelError(f"there is no folder {name!r}, and it cannot be a name on the model hub") from None
    except HfHubHTTPError as error:
        raise ModelError(f"the model hub does not give out {name}: {first_line(error)}") from None
    except OSError as error:
        raise ModelError(f"{file} of {name} could not be brought from the model hub: {first_line(error)}") from None


@cache
def hub_answers() -> bool:
    """Whether the hub, or the proxy that stands before it, takes a connection. Asked once in a process."""
    hub = urlsplit(constants.ENDPOINT)
    proxy = getproxies().get(hub.scheme)
    door = urlsplit(proxy) if proxy and not proxy_bypass(hub.hostname or "") else hub
    address = (door.hostname or "", door.port or (443 if door.scheme == "https" else 80))
    answered = threading.Event()

    def connect() -> None:
        try:
            socket.create_connection(address, ANSWERS_WITHIN_S).close()
        except OSError:
            return
        answered.set()

    # A thread of its own, because without a network looking up the name can take longer than any timeout given here.
    connecting = threading.Thread(target=connect, daemon=True)
    connecting.start()
    connecting.join(ANSWERS_WITHIN_S)
    return answered.is_set()
