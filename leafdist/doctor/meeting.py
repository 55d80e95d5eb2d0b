"""A meeting of the processes of a launch, to exchange findings: over a store that needs no working collective."""

import json
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from torch.distributed import DistNetworkError, PrefixStore, TCPStore  # type: ignore[attr-defined]

from leafdist.doctor.diagnosis import Finding, error
from leafdist.doctor.launch import Launch
from leafdist.system.plain import from_plain, to_plain

SOON = timedelta(seconds=5)  # for a launcher's store, which is there already
AGENT = "TORCHELASTIC_USE_AGENT_STORE"


@dataclass(frozen=True)
class Found:
    """The findings of one rank."""

    node: str
    findings: list[Finding]


class Meeting:
    """All processes of `launch`; each waits `seconds` for another."""

    def __init__(self, launch: Launch, seconds: float) -> None:
        """Raises ValueError where rank 0 cannot be reached."""
        self.patience = timedelta(seconds=seconds)
        self.server = self._open(launch)  # kept, since it may be the one that serves all
        self.launch = replace(launch, port=self.server.port)
        self.store = PrefixStore("leafdist-doctor", self.server)

    def _open(self, launch: Launch) -> TCPStore:
        host, port, first = launch.address, launch.port, launch.rank == 0
        try:
            if first and os.environ.get(AGENT) == str(True):
                with suppress(DistNetworkError):
                    return TCPStore(host, port, is_master=False, timeout=SOON)
            return TCPStore(host, port, is_master=first, timeout=self.patience, wait_for_workers=False)
        except (DistNetworkError, RuntimeError) as fault:
            reason = " ".join(str(fault).split())[:300]
            raise ValueError(
                f"rank {launch.rank} on {launch.node} cannot meet the others at {host}:{port} ({reason}). Check that "
                "MASTER_ADDR is the first node's name, that the port is free there and no firewall is between"
            ) from fault

    def put(self, name: str, value: object) -> None:
        """Publish a JSON value of this rank."""
        self.store.set(f"{name}/{self.launch.rank}", json.dumps(value))

    def get(self, name: str, rank: int, deadline: float) -> Any:
        """Wait for what `rank` publishes; None if there is nothing by `deadline` (of time.monotonic)."""
        key, left = f"{name}/{rank}", timedelta(seconds=max(0.1, deadline - time.monotonic()))
        try:
            self.store.wait([key], left)
        except RuntimeError:  # timed out
            return None
        return json.loads(self.store.get(key))

    def hand_over(self, findings: list[Finding]) -> None:
        """Publish the findings of this rank."""
        self.put("findings", to_plain(Found(self.launch.node, findings)))

    def collect(self) -> Iterator[tuple[str, Finding]]:
        """All findings with their nodes, by rank; for rank 0. A rank that publishes nothing is a finding."""
        deadline = time.monotonic() + self.patience.total_seconds()
        for rank in range(self.launch.world):
            found = self.get("findings", rank, deadline)
            if found is None:
                text = f"rank {rank} of {self.launch.world} did not report within {self.patience.total_seconds():g} s"
                yield f"rank {rank}", error("processes", text, "See the end of its log; is its node alive?")
                continue
            said = from_plain(Found, found, f"rank {rank}")
            yield from ((said.node, finding) for finding in said.findings)
