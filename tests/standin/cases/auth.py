"""Authentication: schemes, order of the checks, tokens and permissions, and how late other nodes learn of them."""
import base64
import json
import unittest

from harness.client import call, target
from harness.waiting import eventually
from standin.cases.modes import layout
from standin.cluster import FAST, Cluster

TOKEN = "apiv3_secret"
UNAUTHENTICATED = '{"error": "the request was not authenticated"}'


def basic(user, token):
    return "Basic " + base64.b64encode(f"{user}:{token}".encode()).decode()


class AuthTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = Cluster(layout=layout({"one": "ingest,query", "late": "ingest"}), token=TOKEN,
                              node_options=FAST, options_of={"late": ["--catalog-sync-interval", "1h"]}).start()
        cls.addClassCleanup(cls.cluster.stop)
        cls.address = cls.cluster.address("one")

    def call(self, method, path, body=None, authorization="Bearer " + TOKEN, address=None):
        headers = {"authorization": authorization} if authorization else {}
        return call(address or self.address, method, path, body, headers)

    def test_schemes(self):
        for authorization, status in (
                (None, 401), ("Bearer " + TOKEN, 204), ("Token " + TOKEN, 204), (basic("any", TOKEN), 204),
                ("Bearer wrong", 401), ("bearer " + TOKEN, 400), ("Bearer  " + TOKEN, 400), ("Bearer", 400),
                (basic("a:b", TOKEN), 400), ("Basic ###", 400)):
            with self.subTest(authorization=authorization):
                answer = self.call("POST", "/api/v3/write_lp?db=d", "m v=1", authorization)
                self.assertEqual(answer.status, status)
                if status == 401:
                    self.assertEqual(answer.text, UNAUTHENTICATED)
                if status == 400:
                    self.assertIn("Authorization header was malformed", answer.text)

    def test_p_beats_the_header_on_the_v1_paths_only(self):
        self.assertEqual(self.call("POST", f"/write?db=d&u=x&p={TOKEN}", "m v=1", "Bearer wrong").status, 204)
        self.assertEqual(self.call("POST", "/write?db=d&p=wrong", "m v=1").status, 401)
        self.assertEqual(self.call("GET", target("/query", q="show databases", p=TOKEN), None, None).status, 200)
        self.assertEqual(self.call("POST", f"/api/v2/write?bucket=d&p={TOKEN}", "m v=1", None).status, 401)

    def test_authentication_comes_before_routing_but_after_preflight_and_exempt_paths(self):
        self.assertEqual(self.call("GET", "/nonsense", authorization=None).status, 401)
        self.assertEqual(self.call("GET", "/nonsense").status, 404)
        self.assertEqual(self.call("OPTIONS", "/nonsense", authorization=None).status, 204)
        for path in ("/health", "/api/v1/health", "/ready", "/ping", "/metrics"):
            self.assertEqual(self.call("GET", path, authorization=None).status, 200, path)
        self.assertEqual(self.call("POST", "/api/v3/configure/token/admin", authorization=None).status, 409)

    def test_resource_token_permissions_by_endpoint(self):
        answer = self.call("POST", "/api/v3/enterprise/configure/token", json.dumps({
            "token_name": "narrow",
            "permissions": [{"resource_type": "db", "resource_names": ["mine"], "actions": ["read", "write"]}]}))
        self.assertEqual(answer.status, 201)
        narrow = "Bearer " + json.loads(answer.body)["token"]
        for method, path, body, status, text in (
                ("POST", "/api/v3/write_lp?db=mine", "m v=1", 204, ""),
                ("POST", "/api/v3/write_lp?db=other", "m v=1", 403, ""),
                ("POST", "/api/v2/write?bucket=other", "m v=1", 403, '{"code":"forbidden","message":"forbidden"}'),
                ("GET", "/api/v3/query_sql?db=mine&q=select+1", None, 200, '[{"1":1}]'),
                ("GET", "/api/v3/query_sql?db=other&q=select+1", None, 403, ""),
                ("GET", "/api/v3/query_sql?db=_internal&q=select+1", None, 403, ""),
                ("GET", "/query?db=other&q=select+v+from+m", None, 401, '{"error":"unauthorized access"}'),
                ("POST", "/api/v3/configure/database", '{"db":"x"}', 403, "")):
            with self.subTest(path=path):
                answer = self.call(method, path, body, narrow)
                self.assertEqual((answer.status, answer.text), (status, text))

    def test_new_and_revoked_tokens_reach_other_nodes_with_the_catalog_sync(self):
        answer = self.call("POST", "/api/v3/configure/token/named_admin", '{"token_name":"second"}')
        second = "Bearer " + json.loads(answer.body)["token"]
        self.assertEqual(self.call("GET", "/nope", authorization=second).status, 404)
        late = self.cluster.address("late")
        self.assertEqual(self.call("GET", "/nope", authorization=second, address=late).status, 401)
        duplicate = self.call("POST", "/api/v3/configure/token/named_admin", '{"token_name":"second"}', address=late)
        self.assertEqual(duplicate.status, 409)
        self.assertEqual(self.call("GET", "/nope", authorization=second, address=late).status, 404)
        self.assertEqual(self.call("DELETE", "/api/v3/configure/token?token_name=second").status, 200)
        self.assertEqual(self.call("GET", "/nope", authorization=second).status, 401)
        self.assertEqual(self.call("GET", "/nope", authorization=second, address=late).status, 404)

    def test_operator_token_cannot_be_deleted(self):
        self.assertEqual(self.call("DELETE", "/api/v3/configure/token?token_name=_admin").status, 405)


class FirstTokenTest(unittest.TestCase):
    def test_the_first_caller_becomes_the_operator(self):
        nodes = layout({"open": "all"})
        cluster = Cluster(layout=nodes, node_options=FAST)
        cluster.nodes["open"].arguments.remove("--without-auth")
        with cluster:
            address = cluster.address("open")
            self.assertEqual(call(address, "GET", "/health").status, 401)
            answer = call(address, "POST", "/api/v3/configure/token/admin")
            self.assertEqual(answer.status, 201)
            token = json.loads(answer.body)["token"]
            self.assertEqual(call(address, "POST", "/api/v3/configure/token/admin").status, 409)
            headers = {"authorization": f"Bearer {token}"}
            self.assertEqual(call(address, "GET", "/health", headers=headers).status, 200)
            answer = call(address, "POST", "/api/v3/configure/token/admin/regenerate", headers=headers)
            self.assertEqual(answer.status, 201)
            eventually(lambda: call(address, "GET", "/health", headers=headers).status == 401)
