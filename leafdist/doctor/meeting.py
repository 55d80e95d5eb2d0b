"""Where processes of a launch meet to hand over what they found: a store that needs no working collective."""

import json
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, replace
from datetime import timedelta
from typing import Any

from torch.distributed import DistNetworkError, PrefixStore, TCPStore  # type: ignore[attr-defined]

from leafdist.doctor.diagnosis import Finding, error
from leafdist.doctor.launch import Place

SOON = timedelta(seconds=5)  # for a launcher's store, which is there already
AGENT = "TORCHELASTIC_USE_AGENT_STORE"


class Meeting:
    """Of all processes of `place.world`; `seconds` is how long one waits for another."""

    def __init__(self, place: Place, seconds: float) -> None:
        """Raises ValueError where rank 0 cannot be reached."""
        self.patience = timedelta(seconds=seconds)
        self.server = self._open(place)  # lives as long as this: it may be the one that serves all
        self.place = replace(place, port=self.server.port)
        self.store = PrefixStore("leafdist-doctor", self.server)

    def _open(self, place: Place) -> TCPStore:
        where = f"{place.address}:{place.port}"
        try:
            if place.rank == 0 and os.environ.get(AGENT) == str(True):
                with suppress(DistNetworkError):
                    return TCPStore(place.address, place.port, is_master=False, timeout=SOON)
            return TCPStore(
                place.address, place.port, is_master=place.rank == 0, timeout=self.patience, wait_for_workers=False
            )
        except (DistNetworkError, RuntimeError) as fault:
            reason = " ".join(str(fault).split())[:300]
            raise ValueError(
                f"rank {place.rank} on {place.node} cannot meet the others at {where} ({reason}). Check that "
                "MASTER_ADDR is the first node's name, that the port is free there and no firewall is between"
            ) from fault

    def put(self, name: str, value: Any) -> None:
        self.store.set(f"{name}/{self.place.rank}", json.dumps(value))

    def get(self, name: str, rank: int, deadline: float) -> Any:
        """What it put, or None if it has put nothing by then."""
        left = timedelta(seconds=max(0.1, deadline - time.monotonic()))
        key = f"{name}/{rank}"
        try:
            self.store.wait([key], left)
        except RuntimeError:  # its timeout
            return None
        return json.loads(self.store.get(key))

    def hand_over(self, findings: list[Finding]) -> None:
        self.put("findings", {"node": self.place.node, "findings": list(map(asdict, findings))})

    def collect(self) -> Iterator[tuple[str, Finding]]:
        """Of rank 0: everybody's, in order of rank, in the end; a rank that is silent is a finding."""
        deadline = time.monotonic() + self.patience.total_seconds()
        for rank in range(self.place.world):
            found = self.get("findings", rank, deadline)
            if found is None:
                text = f"rank {rank} of {self.place.world} gave no word within {self.patience.seconds} s"
                yield f"rank {rank}", error("processes", text, "Look for its last words in the log; is its node alive?")
                continue
            yield from ((found["node"], Finding(**finding)) for finding in found["findings"])
