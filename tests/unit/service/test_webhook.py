"""One try to send a message: what arrives, what a receiver may do instead, what of its URL is shown."""

from __future__ import annotations

import base64
import threading
import time
from pathlib import Path

import pytest

from fre_hpo.errors import UsageError
from fre_hpo.service.webhook import NotDelivered, Receiver, send
from receiving import SECRET, Behaviour, Mailbox, closed_port

MESSAGE = {"text": "Zürich is finished.", "event": "finished"}


def receiver(url: str) -> Receiver:
    found = Receiver.named(url)
    assert found is not None
    return found


def test_a_message_arrives_as_json() -> None:
    with Mailbox() as box:
        send(receiver(box.url), MESSAGE)
    (request,) = box.requests
    assert request.message == MESSAGE
    assert (request.method, request.path) == ("POST", f"/hooks/{SECRET}")
    assert request.headers["content-type"] == "application/json"
    assert request.headers["user-agent"].startswith("fre-hpo/")


def test_name_and_password_go_into_a_header() -> None:
    with Mailbox() as box:
        send(receiver(box.url.replace("//", "//ana:p%40ss@")), MESSAGE)
    (request,) = box.requests
    assert request.headers["authorization"] == f"Basic {base64.b64encode(b'ana:p@ss').decode()}"
    assert "ana" not in request.headers["host"]


@pytest.mark.parametrize(
    ("code", "again"),
    [
        *((code, False) for code in (301, 302, 307, 308, 400, 404)),
        *((code, True) for code in (408, 429, 500, 503)),
    ],
)
def test_whether_another_try_may_help(code: int, again: bool) -> None:
    with Mailbox() as other, Mailbox(Behaviour([code], location=other.url)) as box:
        with pytest.raises(NotDelivered, match=f"it answered {code}") as refused:
            send(receiver(box.url), MESSAGE)
        assert refused.value.again is again
    assert len(box.requests) == 1
    assert other.requests == []


@pytest.mark.parametrize(
    "behaviour",
    [
        Behaviour(hang=30),
        Behaviour(drip=30),
        Behaviour(garbage=b""),
        Behaviour(garbage=b"220 mail.lab ESMTP\r\n"),
        Behaviour(garbage=b"\x15\x03\x01\x00\x02\x02\x16" * 1000),
        Behaviour(garbage=b"HTTP/1.1 200 OK\r\n" + b"X-More: x\r\n" * 1000),
    ],
    ids=["hangs", "a byte at a time", "closes", "another protocol", "binary", "too many headers"],
)
def test_a_receiver_that_misbehaves_takes_no_longer_than_a_try(behaviour: Behaviour) -> None:
    began = time.monotonic()
    with Mailbox(behaviour) as box:
        with pytest.raises(NotDelivered) as failed:
            send(receiver(box.url), MESSAGE, seconds=0.5)
        assert time.monotonic() - began < 5
    assert failed.value.again
    assert SECRET not in str(failed.value)
    if behaviour.hang or behaviour.drip:
        assert "no answer within 0.5 s" in str(failed.value)


@pytest.mark.parametrize(
    "url",
    [f"http://127.0.0.1:{closed_port()}/{SECRET}", f"http://nowhere.invalid/{SECRET}"],
    ids=["nobody listens", "no such host"],
)
def test_a_receiver_that_is_not_there(url: str) -> None:
    with pytest.raises(NotDelivered) as failed:
        send(receiver(url), MESSAGE)
    assert failed.value.again
    assert SECRET not in str(failed.value)


def test_plain_http_where_https_is_named() -> None:
    with Mailbox() as box, pytest.raises(NotDelivered) as failed:
        send(receiver(box.url.replace("http:", "https:")), MESSAGE, seconds=2)
    assert SECRET not in str(failed.value)
    assert box.requests == []


def test_proxies_of_the_environment_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    with Mailbox() as proxy:
        monkeypatch.setenv("http_proxy", proxy.url.rpartition("/hooks")[0])
        monkeypatch.delenv("no_proxy", raising=False)
        send(receiver(f"http://chat.invalid/{SECRET}"), MESSAGE)
    assert proxy.requests[0].path == f"http://chat.invalid/{SECRET}"


@pytest.mark.parametrize(
    "url",
    [
        f"chat.lab/{SECRET}",
        f"ftp://chat.lab/{SECRET}",
        f"file:///etc/{SECRET}",
        f"https:///{SECRET}",
        f"https://chat.lab:door/{SECRET}",
        f"https://chat.lab:99999/{SECRET}",
        f"https://[::1/{SECRET}",
        f"https://chat.lab/a b{SECRET}",
        f"https://chat.lab/\r\nX: {SECRET}",
        f"https://chat.lab/ü{SECRET}",
        "@/nowhere/at/all",
    ],
)
def test_what_is_no_address_is_refused_without_being_shown(url: str) -> None:
    with pytest.raises(UsageError) as refused:
        Receiver.named(url)
    assert "--notify" in str(refused.value)
    assert SECRET not in str(refused.value)


def test_the_address_may_lie_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "hook"
    file.write_text(f"https://chat.lab/{SECRET}\n")
    assert receiver(f"@{file}").url == f"https://chat.lab/{SECRET}"
    assert Receiver.named(None) is Receiver.named("") is None


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        (f"https://chat.lab/hooks/{SECRET}?key={SECRET}#{SECRET}", "https://chat.lab"),
        (f"http://ana:{SECRET}@chat.lab:8065/x", "http://chat.lab"),
        (f"https://{SECRET}@[::1]:1/x", "https://[::1]"),
    ],
)
def test_only_scheme_and_host_are_shown(url: str, shown: str) -> None:
    assert str(receiver(url)) == shown
    assert SECRET not in repr(receiver(url))


def test_nothing_is_left_running_after_a_try() -> None:
    with Mailbox() as box:
        before = threading.active_count()
        send(receiver(box.url), MESSAGE, seconds=0.3)
        time.sleep(0.5)
        assert threading.active_count() <= before
