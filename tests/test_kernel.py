"""A kernel of the course answers every request, also those that come while it replies to others."""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from jupyter_client.manager import KernelManager

from coursekit.lab import replies, server

BURSTS, REQUESTS, SECONDS = 12, 120, 20
HOW_IT_REPLIES = """
k = get_ipython().kernel
print("stream" if k.shell_channel_thread.manager._shell_socket is k.shell_stream else "socket")
"""


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[bool], Any]]:
    """Return what starts a kernel and gives its client: with the profile that start.py writes, or without."""
    begun = []

    def begin(has_profile: bool) -> Any:
        profile = tmp_path / "ipython" / "profile_default"
        profile.mkdir(parents=True)
        if has_profile:
            text = (server.TEMPLATES / "ipython_kernel_config.json").read_text(encoding="utf-8")
            (profile / "ipython_kernel_config.json").write_text(text, encoding="utf-8")
        monkeypatch.setenv("IPYTHONDIR", str(profile.parent))
        manager = KernelManager(kernel_name="python3")
        manager.start_kernel()
        client = manager.client()
        begun.append((manager, client))
        client.start_channels()
        client.wait_for_ready(timeout=120)
        return client

    yield begin
    for manager, client in begun:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def said(client: Any, code: str) -> str:
    """Return what code prints in a kernel."""
    parts: list[str] = []

    def note(message: dict[str, Any]) -> None:
        parts.append(message["content"].get("text", ""))

    client.execute_interactive(code, timeout=120, output_hook=note)
    return "".join(parts).strip()


def test_the_profile_makes_a_kernel_reply_through_the_stream_that_reads(start: Callable[[bool], Any]) -> None:
    client = start(True)
    assert said(client, HOW_IT_REPLIES) == "stream"
    for burst in range(BURSTS):
        left = {client.execute("sum(range(30_000))", silent=True) for _ in range(REQUESTS)}
        while left:
            try:
                left.discard(client.get_shell_msg(timeout=SECONDS)["parent_header"]["msg_id"])
            except queue.Empty:
                pytest.fail(f"{len(left)} of {REQUESTS} requests of burst {burst} were never answered")


def test_without_the_profile_the_first_import_of_the_course_does_it(start: Callable[[bool], Any]) -> None:
    client = start(False)
    if said(client, HOW_IT_REPLIES) == "stream":
        pytest.skip("this ipykernel needs no mending")
    said(client, "from coursekit import check")
    assert said(client, HOW_IT_REPLIES) == "stream"


@pytest.mark.parametrize("shell", [None, object()])
def test_where_there_is_no_kernel_nothing_happens(shell: Any) -> None:
    replies.load_ipython_extension(shell)
    replies.mend_this_kernel()
