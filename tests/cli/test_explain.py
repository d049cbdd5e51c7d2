"""sluice explain --admin: what a running Sluice says of the nodes at the moment."""
import os
import re

from command import CommandTest
from fake_admin import FakeAdmin, answer, node, status

CLUSTER = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'explain', 'cluster.yaml')
CLASSES = ('write', 'writeback', 'query', 'flight', 'compaction')


def states(**said):
    return {name: said.get(name, 'ready') for name in CLASSES}


def cluster(ingester_02=None, **keys):
    """The answer of /status for cluster.yaml; without processor-01, as if it had been added to the file since."""
    nodes = [node(1, node_id='ingester-01', mode=['ingest'], admin=states()),
             node(2, node_id='ingester-02', mode=['ingest'], admin=ingester_02 or states()),
             node(3, node_id='query-01', health='down', usable=False, admin={name: 'maint' for name in CLASSES}),
             node(4, node_id='compactor-01', mode=['compact'], admin=states())]
    return {'GET /status': answer(200, status(nodes, **keys))}


class Explain(CommandTest):
    def explain(self, replies, request, wanted):
        with FakeAdmin(replies) as admin:
            result = self.expect(['explain', '-c', CLUSTER, *request, '--admin', admin.address], 0, re.compile('.'), '')
            self.assertIn(wanted.replace('ADDRESS', admin.address), result.stdout)
            self.assertEqual([(each.method, each.target) for each in admin.requests], [('GET', '/status')])
            return result.stdout

    def test_a_node_that_drains_of_the_class(self):
        self.explain(cluster(states(write='drain', writeback='drain')), ['POST', '/api/v3/write_lp?db=x'],
                     'now         as ADDRESS says, epoch 5\n'
                     '            ingester-01: up, ready\n'
                     '            ingester-02: up, drain:write,writeback; it gets no new requests of class write\n'
                     'retries     ')

    def test_a_node_that_drains_of_another_class(self):
        self.explain(cluster(states(query='maint')), ['POST', '/write?db=x'],
                     '            ingester-02: up, maint:query\n'
                     'retries     ')

    def test_a_node_that_its_answers_have_set_aside(self):
        replies = cluster()
        nodes = [node(1, node_id='ingester-01', mode=['ingest'], admin=states(), ejected=['write']),
                 node(2, node_id='ingester-02', mode=['ingest'], admin=states(), ejected=['query'])]
        self.explain({**replies, 'GET /status': answer(200, status(nodes))}, ['POST', '/write?db=x'],
                     '            ingester-01: up, ready; its answers have set it aside for class write\n'
                     '            ingester-02: up, ready\n'
                     'retries     ')

    def test_one_in_maintenance_and_one_that_is_not_known_there(self):
        self.explain(cluster(), ['POST', '/api/v3/query_sql'],
                     'now         as ADDRESS says, epoch 5\n'
                     '            query-01: down, maint; it gets no new requests of class query\n'
                     '            processor-01: not in the configuration that is in force there\n'
                     'retries     ')

    def test_a_sluice_that_drains_itself(self):
        self.explain(cluster(draining=True), ['POST', '/write?db=x'],
                     'now         as ADDRESS says, epoch 5; it drains and takes no new connections\n')

    def test_the_rest_is_said_as_without_it(self):
        alone = self.sluice('explain', '-c', CLUSTER, 'POST', '/write?db=x').stdout
        asked = self.explain(cluster(), ['POST', '/write?db=x'], '\nnow ')
        self.assertEqual(re.sub(r'now .*?(?=retries)', '', asked, flags=re.S), alone)

    def test_nobody_is_asked_unless_it_is_said(self):
        with FakeAdmin(cluster()) as admin:
            path = self.file('sluice.yaml', f'cluster_id: c\nlisten: [{{address: "127.0.0.1:8181"}}]\nadmin: {{address: "{admin.address}"}}\n'
                             'nodes: [{node_id: a, url: "http://10.0.0.1:8181", mode: all}]\n')
            result = self.expect(['explain', '-c', path, 'POST', '/write?db=x'], 0, re.compile('nodes       a at'), '', SLUICE_ADMIN=admin.address)
            self.assertNotIn('now ', result.stdout)
            self.assertEqual(admin.requests, [])

    def test_what_no_node_serves_asks_nobody(self):
        with FakeAdmin(cluster()) as admin:
            self.expect(['explain', '-c', CLUSTER, 'GET', '/health', '--admin', admin.address], 0, re.compile('no node'), '')
            self.assertEqual(admin.requests, [])

    def test_several_are_all_asked_and_one_that_fails_is_a_failure(self):
        with FakeAdmin(cluster()) as first, FakeAdmin({}) as second, FakeAdmin(cluster(states(write='drain'))) as third:
            result = self.expect(['explain', '-c', CLUSTER, 'POST', '/write', '--admin', first.address, '--admin', second.address,
                                  '--admin', third.address], 1, re.compile('retries .*timeouts ', re.S),
                                 f'sluice explain: {second.address}: answers 404: no such route\n')
            said = re.search(r'^now .*?(?=^retries)', result.stdout, re.S | re.M).group(0)
            self.assertEqual(said, f'now         as {first.address} says, epoch 5\n'
                                   '            ingester-01: up, ready\n'
                                   '            ingester-02: up, ready\n'
                                   f'now         as {third.address} says, epoch 5\n'
                                   '            ingester-01: up, ready\n'
                                   '            ingester-02: up, drain:write; it gets no new requests of class write\n')

    def test_the_token(self):
        with FakeAdmin(cluster()) as admin:
            self.expect(['explain', '-c', CLUSTER, 'POST', '/write', '--admin', admin.address, '--token-file', self.file('token', 's3cret\n')],
                        0, re.compile('now '), '')
            self.assertEqual(admin.requests[0].fields['authorization'], 'Bearer s3cret')
        self.expect(['explain', '-c', CLUSTER, 'POST', '/write', '--token-file', '/no/token'], 2, '',
                    'sluice explain: --token-file without --admin ADDRESS: nobody is asked; name the running Sluice, too\n')

    def test_nothing_drives_the_terminal(self):
        replies = {'GET /status': answer(200, status([node(1, node_id='ingester-01', health='u\x1b[2Jp', admin={'write\x07': 'drain'})]))}
        self.explain(replies, ['POST', '/write?db=x'], '            ingester-01: u?[2Jp, drain\n')
