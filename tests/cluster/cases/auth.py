"""Authentication is the database's business: tokens pass through untouched, and stay out of the log."""
import base64
import json

from harness.client import target
from harness.waiting import eventually
from cluster.lib.stage import LAYOUT, Stage

TOKEN = "apiv3_an-admin-token-of-the-tests"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
QUERY = target("/api/v3/query_sql", db="_internal", q="SELECT 1 AS one", format="json")


def with_tokens(binary):
    """The documented layout; nodes want a token for everything but the probes."""
    return Stage(binary, LAYOUT, token=TOKEN)


stage = with_tokens


def log_lines(stage, mark):
    """The access log's lines with a mark in them, once there are any: it is written out every second."""
    def found():
        with open(stage.access_log, encoding="utf-8") as file:
            return [line for line in file if mark in line]
    return eventually(found, f"'{mark}' in the access log")


def test_a_401_passes_through(stage):
    for headers in ({}, {"Authorization": "Bearer wrong"}):
        for method, path, body in (("POST", "/api/v3/write_lp?db=d", "m v=1i 1"), ("GET", QUERY, None),
                                   ("POST", "/api/v2/write?bucket=d", "m v=1i 1"), ("POST", "/write?db=d", "m v=1i 1")):
            answer = stage.call(method, path, body, headers).expect(401)
            assert answer.node is not None and "not authenticated" in answer.text, answer.text


def test_a_malformed_header_is_the_nodes_to_judge(stage):
    answer = stage.call("GET", QUERY, headers={"Authorization": "Bearer  two-blanks"}).expect(400)
    assert answer.node is not None and "malformed" in answer.text, answer.text


def test_the_token_arrives_as_it_was_sent(stage):
    basic = base64.b64encode(f"any:{TOKEN}".encode()).decode()
    for value in (f"Bearer {TOKEN}", f"Token {TOKEN}", f"Basic {basic}"):
        stage.recover()
        answer = stage.call("POST", "/api/v3/write_lp?db=d", "m v=1i 1", {"Authorization": value}).expect(204)
        headers = stage.seen(answer.node, "/api/v3/write_lp")[0]["headers"]
        assert [one for name, one in headers if name.lower() == "authorization"] == [value], headers


def test_p_in_the_url_works_and_is_not_logged(stage):
    database = stage.database()
    mark = f"db={database}"
    stage.call("POST", target("/write", db=database, u="any", p=TOKEN), "m v=1i 1").expect(204)
    stage.call("GET", target("/query", q="SHOW MEASUREMENTS", db=database, p=TOKEN)).expect(200)
    lines = eventually(lambda: len(log_lines(stage, mark)) == 2 and log_lines(stage, mark), "both requests are logged")
    assert all("p=-" in line for line in lines), lines
    with open(stage.access_log, encoding="utf-8") as file:
        assert TOKEN not in file.read(), "the token is in the access log"
    assert TOKEN not in stage.sluice.log(), "the token is in the log"


def test_a_new_token_works_at_once_where_it_was_made(stage):
    """Creating and using it are both catalog calls: one node, so no wait for its sync."""
    created = stage.call("POST", "/api/v3/configure/token/named_admin", json.dumps({"token_name": "second"}), BEARER)
    token = created.expect(201).json["token"]
    headers = {"Authorization": f"Bearer {token}"}
    answer = stage.call("GET", "/api/v3/configure/database?format=json", headers=headers).expect(200)
    assert answer.node == created.node, (created.node, answer.node)
    # And everywhere a moment later.
    eventually(lambda: stage.call("POST", "/api/v3/write_lp?db=d", "m v=1i 1", headers).status == 204, "it may write")
    eventually(lambda: stage.call("GET", QUERY, headers=headers).status == 200, "it may query")


def test_sluice_asks_for_no_token_where_the_database_does_not(stage):
    stage.call("OPTIONS", "/api/v3/write_lp").expect(204)
    stage.call("GET", "/health").expect(200)
    stage.call("GET", "/ping").expect(200)


def test_the_access_log_tells_who_served_what(stage):
    answer = stage.call("POST", target("/api/v3/write_lp", db="logged"), "m v=1i 1", BEARER).expect(204)
    line = log_lines(stage, "db=logged")[0]
    fields = dict(word.split("=", 1) for word in line.split() if "=" in word)
    assert fields["node"] == answer.node and fields["class"] == "write" and fields["status"] == "204", line
    assert fields["client"] == "127.0.0.1" and fields["request_bytes"] == "8" and fields["fault"] == "none", line
    assert fields["id"].strip('"') == answer.headers["x-request-id"], line
