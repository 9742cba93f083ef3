"""Whether YARN's ResourceManager answers, asked before a run is submitted: Hadoop tries for 15 minutes."""

from __future__ import annotations

import re
import socket
from pathlib import Path
from xml.etree import ElementTree

from contract.errors import fault

SITE = "yarn-site.xml"
ADDRESS, HOSTNAME, IDS = (
    "yarn.resourcemanager.address",
    "yarn.resourcemanager.hostname",
    "yarn.resourcemanager.ha.rm-ids",
)
ANY, PORT = "0.0.0.0", 8032
"""Of ResourceManagers that a configuration says nothing more of (Hadoop's yarn-default.xml)."""
SECONDS = 10


def resource_manager_fault(folder: str) -> str | None:
    """A sentence where a configuration names ResourceManagers and none of them takes a connection.

    Parameters
    ----------
    folder
        Hadoop's configuration, as HADOOP_CONF_DIR names it.
    """
    site = Path(folder, SITE)
    reasons = []
    for host, port in resource_managers(site):
        try:
            socket.create_connection((host, port), timeout=SECONDS).close()
        except OSError as error:
            reasons.append(f"{host}:{port} ({error.strerror or error})")
        else:
            return None
    if not reasons:
        return None
    wanted = "a ResourceManager that runs (yarn node -list), then the same command again"
    return fault(str(site), ADDRESS, found=f"no answer from {' or '.join(reasons)}", wanted=wanted)


def resource_managers(site: Path) -> list[tuple[str, int]]:
    """Host and port of each ResourceManager by a yarn-site.xml; without one Hadoop asks this machine."""
    try:
        entries = list(ElementTree.parse(site).getroot().iter("property"))
    except (OSError, ElementTree.ParseError):
        entries = []
    settings = {
        (entry.findtext("name") or "").strip(): (entry.findtext("value") or "").strip() for entry in entries
    }
    names = [f".{name.strip()}" for name in settings.get(IDS, "").split(",") if name.strip()] or [""]
    found = []
    for name in names:
        host = _filled(settings.get(HOSTNAME + name, ""), settings) or ("" if name else ANY)
        address = _filled(settings.get(ADDRESS + name, ""), settings) or host
        plain, _, port = address.partition(":")
        if plain and "$" not in address and (port or str(PORT)).isdecimal():
            found.append((plain, int(port or PORT)))
    return found


def _filled(text: str, settings: dict[str, str]) -> str:
    """A value with the settings that it names as ${name} put in."""
    return re.sub(r"\$\{([^}]+)\}", lambda part: settings.get(part.group(1), part.group()), text)
