"""sluice status, printed once: the table and the JSON."""
import json
import os
import re

from command import CommandTest
from fake_admin import FakeAdmin, answer, node, status
from screen import Screen

THREE = [
    node(1, node_id='ingester-01', mode=['ingest', 'query'], outstanding=12, requests=1234567),
    node(2, node_id='query-01', health='down', usable=False, failures=17, since_s=42),
    node(3, node_id='compactor-01', mode=['compact'], admin={'write': 'drain', 'query': 'drain'}, since_s=190),
]
TABLE = '''\
plant at ADDRESS  sluice 9.8.7  up 3d4h  epoch 5  118 sessions
3 nodes: 1 not up, 1 draining, 1 well, 12 outstanding
NODE         MODE         HEALTH ADMIN OUT REQUESTS FAILED SINCE
query-01     query        down   ready   0        2     17   42s
compactor-01 compact      up     drain   0        3      0 3m10s
ingester-01  ingest,query up     ready  12  1234567      0 1h00m
'''


def names(text):
    """The nodes of a table, in its order."""
    return [line.split()[0] for line in text.splitlines()[3:]]


class Table(CommandTest):
    def table(self, document, *arguments):
        with FakeAdmin({'GET /status': answer(200, document)}) as admin:
            result = self.expect(['status', '--admin', admin.address, *arguments], 0, re.compile(''), '')
            self.assertNotIn('x-sluice-admin', admin.requests[0].fields)
            return result.stdout.replace(admin.address, 'ADDRESS')

    def test_three_nodes(self):
        self.assertEqual(self.table(status(THREE)), TABLE)

    def test_watch_prints_once_where_there_is_no_terminal(self):
        self.assertEqual(self.table(status(THREE), '--watch'), TABLE)

    def test_no_nodes(self):
        self.assertEqual(self.table(status([])).splitlines()[1], '0 nodes: 0 well, 0 outstanding')

    def test_trouble_comes_first(self):
        nodes = [
            node(1, node_id='well'),
            node(2, node_id='well-with-failures', failures=3),
            node(3, node_id='drains-writes', admin={'write': 'drain', 'query': 'ready'}),
            node(4, node_id='maint', admin={'write': 'maint', 'query': 'maint'}, usable=False),
            node(5, node_id='down', health='down', usable=False),
            node(6, node_id='set-aside', usable=False),
            node(7, node_id='unknown', health='unknown'),
            node(8, node_id='down-with-failures', health='down', usable=False, failures=9),
            node(9, node_id='well-too'),
        ]
        text = self.table(status(nodes))
        self.assertEqual(names(text), ['down-with-failures', 'down', 'unknown', 'set-aside', 'maint', 'drains-writes', 'well-with-failures',
                                       'well', 'well-too'])
        self.assertEqual(text.splitlines()[1], '9 nodes: 3 not up, 1 up but not usable, 1 in maint, 1 draining, 3 well, 0 outstanding')

    def test_a_thousand_nodes_are_all_there_where_there_is_no_terminal(self):
        self.assertEqual(names(self.table(status([node(number) for number in range(1, 1001)]))), [f'query-{number:04d}' for number in range(1, 1001)])

    def test_draining(self):
        self.assertTrue(self.table(status(THREE, draining=True)).startswith('DRAINING  plant at ADDRESS'))

    def test_an_older_sluice(self):
        """Before drain and reload: mode is a text, there is no admin and no epoch."""
        old = {'node_id': 'n', 'mode': 'ingest,query', 'health': 'up', 'usable': True}
        document = {'version': '0.1.0', 'cluster_id': 'c', 'uptime_s': 1, 'workers': 2, 'sessions': 0, 'draining': False, 'nodes': [old]}
        self.assertEqual(self.table(document).splitlines()[3], 'n    ingest,query up     ready   0        0      0    0s')

    def test_nothing_drives_the_terminal(self):
        text = self.table(status([node(1, node_id='a\x1b[31mb', mode=['\x9b'], health='u\np')], cluster_id='c\x07é'))
        self.assertNotIn('\x1b', text)
        self.assertIn('c??? at ', text)
        self.assertTrue(text.splitlines()[3].startswith('a?[31mb ??   u?p '), text)

    def test_durations(self):
        seconds = {0: '0s', 59: '59s', 60: '1m00s', 3599: '59m59s', 3600: '1h00m', 86399: '23h59m', 86400: '1d0h', 86400 * 400 + 3600 * 5: '400d5h'}
        text = self.table(status([node(number, since_s=each) for number, each in enumerate(seconds)]))
        self.assertEqual([line.split()[-1] for line in text.splitlines()[3:]], list(seconds.values()))

    def test_answers_that_are_none(self):
        for change, problem in (({'version': None}, 'version is missing'), ({'nodes': None}, 'nodes is no list'),
                                ({'nodes': [node(1), 7]}, 'nodes[1] is no object'), ({'draining': 1}, 'draining is neither true nor false'),
                                ({'sessions': 1.5}, 'sessions is no count'), ({'nodes': [node(1, mode=7)]}, 'nodes[0].mode is no list'),
                                ({'nodes': [node(1, mode=[7])]}, 'nodes[0].mode is no list of texts'),
                                ({'nodes': [node(1, usable='yes')]}, 'nodes[0].usable is neither true nor false')):
            with FakeAdmin({'GET /status': answer(200, {**status(THREE), **change})}) as admin:
                result = self.sluice('status', '--admin', admin.address)
                self.assertEqual((result.returncode, result.stdout), (1, ''))
                self.assertIn(f': {problem}; use the sluice of the running version\n', result.stderr)

    def test_json_that_is_not_whole(self):
        body = json.dumps(status(THREE)).encode()[:-1]
        with FakeAdmin({'GET /status': answer(200, body)}) as admin:
            self.expect(['status', '--admin', admin.address], 1, '', re.compile(
                f'^sluice status: {re.escape(admin.address)}: the answer is no whole JSON \\(line 1, column {len(body)}: '))

    def test_several_sluices(self):
        reply = {'GET /status': answer(200, status(THREE))}
        with FakeAdmin(reply) as first, FakeAdmin({'GET /status': b''}) as second, FakeAdmin(reply) as third:
            result = self.sluice('status', *(word for admin in (first, second, third) for word in ('--admin', admin.address)))
            self.assertEqual(result.stdout, TABLE.replace('ADDRESS', first.address) + TABLE.replace('ADDRESS', third.address))
            self.assertIn(second.address, result.stderr)
            self.assertEqual(result.returncode, 1)


class Json(CommandTest):
    def test_the_document_as_it_came(self):
        document = status(THREE, alarms=[{'name': 'new', 'text': 'é\u2028'}])
        with FakeAdmin({'GET /status': answer(200, document)}) as admin:
            result = self.expect(['status', '--json', '--admin', admin.address], 0, re.compile(''), '')
            self.assertEqual(json.loads(result.stdout), document)
            self.assertEqual(list(json.loads(result.stdout)), list(document))

    def test_several_have_their_address(self):
        reply = {'GET /status': answer(200, status(THREE))}
        with FakeAdmin(reply) as first, FakeAdmin(reply, path=os.path.join(self.work, 'a"b.sock')) as second:
            text = self.expect(['status', '--json', '--admin', first.address, '--admin', second.address], 0, re.compile(''), '').stdout
            decoder = json.JSONDecoder()
            one, end = decoder.raw_decode(text)
            two, _ = decoder.raw_decode(text[end:].lstrip())
            self.assertEqual((one['address'], two['address']), (first.address, second.address))


class Terminal(CommandTest):
    """Once, on a terminal of 80x24: as many nodes as there is room for, and the prompt's line stays free."""

    def on_terminal(self, document, rows=24, columns=80, term='xterm'):
        with FakeAdmin({'GET /status': answer(200, document)}) as admin:
            with Screen(['status', '--admin', admin.address], rows, columns, term) as screen:
                text = screen.read_to_end()
                self.assertEqual(screen.wait(), 0)
            return text.replace('\r\n', '\n').replace(admin.address, 'ADDRESS')

    def test_three(self):
        self.assertEqual(self.on_terminal(status(THREE)), TABLE.replace('1234567', '   1.2M'))

    def test_a_thousand(self):
        nodes = [node(number) for number in range(1, 1001)]
        nodes[700].update(health='down', usable=False, failures=7)
        lines = self.on_terminal(status(nodes)).splitlines()
        self.assertEqual(len(lines), 23)
        self.assertEqual(lines[1], '1000 nodes: 1 not up, 999 well, 0 outstanding')
        self.assertEqual(lines[3].split()[0], 'query-0701')
        self.assertEqual(lines[4].split()[0], 'query-0001')
        self.assertEqual(lines[22], 'and 981 more, none of them in worse trouble')

    def test_as_many_as_fit(self):
        lines = self.on_terminal(status([node(number) for number in range(1, 21)])).splitlines()
        self.assertEqual((len(lines), lines[22].split()[0]), (23, 'query-0020'))
        lines = self.on_terminal(status([node(number) for number in range(1, 22)])).splitlines()
        self.assertEqual((len(lines), lines[22]), (23, 'and 2 more, none of them in worse trouble'))

    def test_long_names_and_large_counts_fit(self):
        nodes = [node(1, node_id='plant-eu-west-1-ingester-availability-zone-b-017', mode=['ingest', 'query', 'compact', 'process', 'webui'],
                      health='unknown', admin={'write': 'drain', 'writeback': 'drain', 'query': 'maint'}, outstanding=123456, requests=10 ** 15,
                      failures=99999, since_s=10 ** 8)]
        lines = self.on_terminal(status(nodes, cluster_id='c' * 100)).splitlines()
        self.assertEqual([line for line in lines if len(line) > 80], [])
        self.assertEqual(lines[3], 'plant-eu-w~one-b-017 ingest,qu~ unknown maint:quer~ 123K     1.0P  99999 1157d9h')

    def test_a_tiny_terminal(self):
        lines = self.on_terminal(status(THREE), rows=3, columns=20).splitlines()
        self.assertEqual([len(line) for line in lines if len(line) > 20], [])
        self.assertEqual(lines[-1], 'and 2 more, none of ')

    def test_a_terminal_that_knows_nothing(self):
        nodes = [node(number) for number in range(1, 1001)]
        self.assertEqual(len(self.on_terminal(status(nodes), term='dumb').splitlines()), 1003)
