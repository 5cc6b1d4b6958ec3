"""Bringing a checkpoint's files from the model hub. It needs no torch, so that fetching ahead works without it."""

from __future__ import annotations

from pathlib import Path

from huggingface_hub import hf_hub_download
from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError, HFValidationError, LocalEntryNotFoundError
from huggingface_hub.utils import logging as hub_logging

from captions.models.kyutai.config import CONFIG_NAME, file_names
from captions.models.kyutai.files import first_line, read_json
from captions.models.model import ModelError

__all__ = ["hub_file", "pull"]


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

    Without a network this takes some 20 s of retries. The hub's package would log five lines for each, so it is kept
    quiet.

    Raises:
        ModelError: as `pull`.
    """
    hub_logging.set_verbosity_error()
    try:
        return Path(hf_hub_download(name, file))
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
