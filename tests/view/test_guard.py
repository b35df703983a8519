"""Who may ask `wrongkey view`: this machine's browsers with the token, and nobody else; and nothing can be changed."""

import pytest

from tests.view.conftest import HOST, PORT, TOKEN, client

WHOLE = "The token is missing or wrong: open the whole address that wrongkey view printed.\n"


def test_the_token_becomes_a_cookie_and_leaves_the_address(shown):
    browser = client(shown, token="")
    answer = browser.get(f"/?token={TOKEN}")
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie and "samesite=strict" in cookie.lower() and f"wrongkey-{PORT}=" in cookie
    page = browser.get("/")
    assert (page.status_code, page.text) == (200, "<p>the page</p>")
    assert browser.head("/").status_code == 200


@pytest.mark.parametrize("path", ["/", "/view.js", "/key/rom/0", "/sound/rom/0/encrypt.opus", "/?token=", "/?token=é"])
@pytest.mark.parametrize("cookie", ["", "wrong", TOKEN.upper(), f"{TOKEN}2"])
def test_without_the_token_nothing_is_answered(shown, path, cookie):
    answer = client(shown, token=cookie).get(path)
    assert (answer.status_code, answer.text) == (403, WHOLE)


@pytest.mark.parametrize(
    "host", ["evil.example", f"evil.example:{PORT}", "127.0.0.1", f"127.0.0.1:{PORT + 1}", "", f"127.0.0.1.evil:{PORT}"]
)
def test_another_host_is_refused_even_with_the_token(shown, host):
    answer = client(shown).get(f"/?token={TOKEN}", headers={"host": host})
    assert (answer.status_code, answer.text) == (
        403, "This address is not the server's own: use the one that wrongkey view printed.\n"
    )  # fmt: skip
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize("host", [f"localhost:{PORT}", f"LOCALHOST:{PORT}"])
def test_the_machine_has_two_names(shown, host):
    assert client(shown).get("/", headers={"host": host}).status_code == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_nothing_can_be_changed(shown, method):
    answer = client(shown).request(method, "/")
    assert (answer.status_code, answer.text) == (405, "Nothing can be changed here: this server only answers GET.\n")


@pytest.mark.parametrize("path", ["/", "/view.js", "/nothing", "/key/none/0"])
def test_every_answer_keeps_other_sites_out(shown, path):
    for browser in (client(shown), client(shown, token="")):
        headers = browser.get(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy
        assert "script-src 'self' 'sha256-" in policy
        assert (headers["x-content-type-options"], headers["cache-control"]) == ("nosniff", "no-store")
        assert headers["cross-origin-resource-policy"] == "same-origin"
        assert "access-control-allow-origin" not in headers


@pytest.mark.parametrize(
    "path",
    [
        "/sound/..%2f..%2fetc%2fpasswd/0/encrypt.opus", "/sound/../../etc/passwd", "/key/..%2f..%2from/0", "/key/../0",
        "/sound/rom/0/..%2f..%2fmanifest.json", "/view.js/..%2fguard.py", "//etc/passwd", "/sound/rom/0/%2e%2e.opus",
    ],
)  # fmt: skip
def test_no_address_names_a_file(shown, path):
    answer = client(shown).get(f"{HOST}{path}")
    assert answer.status_code == 404
    assert "root:" not in answer.text and "wrongkey-run" not in answer.text
