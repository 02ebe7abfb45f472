# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ailab_hub.identity makes of errors and answers; tests/live has it ask real services."""

from __future__ import annotations

import json
import socket
import time
from pathlib import Path
from urllib.error import URLError

import pytest
from ailab_hub import identity
from ldap3.core.exceptions import LDAPSocketOpenError, LDAPStartTLSError
from tornado.simple_httpclient import HTTPTimeoutError

UNTRUSTED = "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: certificate has expired (_ssl.c:1006)"


@pytest.mark.parametrize(
    ("error", "problem", "detail"),
    [
        (socket.gaierror(-2, "Name or service not known"), "name", "its name does not resolve"),
        (URLError(socket.gaierror(-2, "")), "name", "its name does not resolve"),
        (LDAPSocketOpenError("invalid server address"), "name", "its name does not resolve"),
        (ConnectionRefusedError(111, "Connection refused"), "connection", "Connection refused"),
        (HTTPTimeoutError("Timeout while connecting"), "connection", "no answer within 4 s"),
        (TimeoutError("timed out"), "connection", "no answer within 4 s"),
        (LDAPStartTLSError(f"wrap socket error: {UNTRUSTED}"), "certificate", "certificate has expired"),
        (URLError(OSError(UNTRUSTED)), "certificate", "certificate has expired"),
        (LDAPStartTLSError("certificate {...} doesn't match any name in ['x']"), "certificate", "it is for another name"),
        (RuntimeError(), "connection", "RuntimeError"),
    ],
    ids=str,
)  # fmt: skip
def test_what_went_wrong_is_told_apart(error: Exception, problem: str, detail: str) -> None:
    assert identity.why(error) == (problem, detail)


@pytest.mark.parametrize(
    ("status", "body", "word"),
    [
        (400, b'{"error": "invalid_grant", "error_description": "x"}', "invalid_grant"),
        (401, b'{"error": "invalid_client"}', "invalid_client"),
        (401, b"Unauthorized", "invalid_client"),
        (200, b'{"error": "bad_verification_code"}', "bad_verification_code"),
        (404, b'{"error": "Not Found"}', None),
        (503, b'{"error": "temporarily_unavailable"}', None),
        (200, b"<html>", None),
        (200, b"[]", None),
        (400, b'{"error": {"code": 1}}', None),
        (502, None, None),
    ],
)
def test_what_a_service_says_of_the_hub(status: int, body: bytes | None, word: str | None) -> None:
    if word:
        assert identity._oauth_error(status, body) == word
        return
    with pytest.raises(identity._UnlikeError, match=f"HTTP status {status}"):
        identity._oauth_error(status, body)


def test_an_authenticator_that_hangs_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def hang(config: object, answer: identity.Answer) -> None:
        answer.kind, answer.asked = "ldap", "ldap.example.org:389"
        time.sleep(30)

    monkeypatch.setattr(identity, "ask", hang)
    file = tmp_path / "jupyterhub_config.py"
    file.write_text("print('not the answer')\n")
    assert identity.main(str(file), 0.5) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["problem"], found["detail"]) == ("connection", "no answer within 0.5 s")


@pytest.mark.parametrize("text", ["raise ValueError('no')", "import time; time.sleep(30)"])
def test_a_configuration_that_cannot_be_read_gives_no_answer(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    file = tmp_path / "jupyterhub_config.py"
    file.write_text(text)
    assert identity.main(str(file), 0.5) == 1
    assert capsys.readouterr().out == ""
