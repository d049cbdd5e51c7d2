"""--help, and what is answered to arguments that make no sense: one line with the remedy, exit status 2."""
import os
import subprocess

from command import SECONDS, CommandTest

COMMANDS = ('serve', 'check', 'explain', 'plan', 'status', 'drain', 'ready', 'maint', 'reload', 'log-level')


class Help(CommandTest):
    def test_the_top_level_names_every_command(self):
        for form in (['-h'], ['--help'], ['help']):
            result = self.expect(form, 0, self.sluice('--help').stdout, '')
            for command in COMMANDS:
                self.assertIn(f'  sluice {command}', result.stdout)

    def test_every_command_has_a_manual(self):
        for command in (*COMMANDS, 'help config'):
            pages = [self.expect([*command.split(), form], 0, self.sluice(*command.split(), '--help').stdout, '').stdout
                     for form in ('-h', '--help')]
            page = pages[0]
            self.assertTrue(page.startswith(f'usage: sluice {command}'), page)
            for part in ('\noptions:\n', '-h, --help', '\nexit status:\n  0  ', '\n  2  ', f'\nexample:\n  sluice '):
                self.assertIn(part, page, command)
            self.assertEqual([line for line in page.partition('\nexample:')[0].splitlines() if len(line) > 80], [], command)

    def test_the_pages_say_what_a_running_sluice_does(self):
        for command, words in (('reload', ('nothing changes', 'only a restart changes keeps its value', 'another cluster_id is an error')),
                               ('drain', ('outlives reloads that keep the node', 'write (write-back, too), query (Flight, too)', 'at most 10m')),
                               ('maint', ('is not probed any more', 'at most 10m')), ('ready', ('so it does not wait',))):
            page = ' '.join(self.sluice('help', command).stdout.split())
            for each in words:
                self.assertIn(each, page, command)

    def test_help_stands_behind_other_arguments_too(self):
        self.expect(['drain', 'query-01', '--wait', '1s', '--help'], 0, self.sluice('drain', '--help').stdout, '')

    def test_version(self):
        for form in ('-V', '--version'):
            self.expect([form], 0, self.sluice('-V').stdout, '')
        self.assertRegex(self.sluice('-V').stdout, r'^sluice \d+\.\d+\.\d+\n$')


class Output(CommandTest):
    def test_what_cannot_be_written_is_a_failure(self):
        with open('/dev/full', 'wb') as full:
            result = subprocess.run([os.environ['SLUICE'], '--help'], stdout=full, stderr=subprocess.PIPE, text=True, timeout=SECONDS, check=False)
        self.assertEqual((result.returncode, result.stderr), (1, 'sluice: the output cannot be written; see whether its disk is full\n'))


class Misuse(CommandTest):
    def misuse(self, line, complaint, **variables):
        self.expect(line.split(), 2, '', complaint + '\n', **variables)

    def test_top_level(self):
        self.misuse('', 'sluice: no command; `sluice --help` lists all commands')
        self.misuse('--watch', 'sluice: --watch is no option; `sluice --help` lists all options and commands')
        self.misuse('stauts', 'sluice: unknown command "stauts"; did you mean "status"?')

    def test_options(self):
        self.misuse('status --wacth', 'sluice status: --wacth is no option; did you mean --watch?')
        self.misuse('status --frobnicate', 'sluice status: --frobnicate is no option; see sluice status --help')
        self.misuse('status -x', 'sluice status: -x is no option; see sluice status --help')
        self.misuse('status --watch -x', 'sluice status: -x is no option; see sluice status --help')
        self.misuse('status --watch=yes', 'sluice status: --watch: takes no value; leave out what follows the "="')
        self.misuse('status --admin', 'sluice status: --admin: needs a value after it')
        self.misuse('status -c', 'sluice status: --config: needs a value after it')

    def test_an_abbreviation_is_no_option(self):
        self.misuse('drain --wai 3s n', 'sluice drain: --wai is no option; did you mean --wait?')
        self.misuse('explain --write GET /', 'sluice explain: --write is no option; see sluice explain --help')

    def test_operands(self):
        self.misuse('status query-01', 'sluice status: query-01: is no option; all nodes are shown')
        self.misuse('drain', 'sluice drain: no NODE; write the node_id, which `sluice status` shows')
        self.misuse('ready a b', 'sluice ready: b: is one argument too many; name one node at a time')
        self.misuse('reload my.yaml', 'sluice reload: my.yaml: is no option; a running Sluice reads the files that it was started with')
        self.misuse('log-level', 'sluice log-level: no LEVEL; write error, warning, info or debug')
        self.misuse('log-level loud', 'sluice log-level: loud: is no level; write error, warning, info or debug')
        self.misuse('log-level info debug', 'sluice log-level: debug: is one argument too many; name one level')
        self.misuse('serve my.yaml', 'sluice serve: my.yaml: is no option; a configuration is named with -c')
        self.misuse('serve', 'sluice serve: no configuration; name it with -c FILE')

    def test_values(self):
        self.misuse('drain n --wait soon', 'sluice drain: --wait soon: is no duration; write it as 500ms, 30s or 5m')
        self.misuse('status --timeout 0', 'sluice status: --timeout 0: is no duration; write it as 500ms, 10s or 2m')
        self.misuse('status --watch --json --admin 127.0.0.1:1', 'sluice status: --watch and --json exclude each other; leave one out')
        self.misuse(f'drain --admin 127.0.0.1:1 {"n" * 2000}',
                    'sluice drain: NODE and class are longer than any name; write the node_id alone')
        self.misuse('status' + ' --admin 127.0.0.1:1' * 17,
                    'sluice status: --admin 127.0.0.1:1: is one address too many; 16 are the limit')

    def test_addresses(self):
        remedy = 'is no address; write host:port, as 127.0.0.1:8180 or [::1]:8180, or unix:/absolute/path'
        for address in ('127.0.0.1', 'http://127.0.0.1:8180', '127.0.0.1:0', '127.0.0.1:99999', '::1:8180', 'unix:relative',
                        'unix:/' + 'x' * 200, 'a/b:8180'):
            self.misuse(f'status --admin {address}', f'sluice status: --admin {address}: {remedy}')
        self.misuse('status', f'sluice status: SLUICE_ADMIN=nonsense: {remedy}', SLUICE_ADMIN='nonsense')

    def test_no_address(self):
        for command in ('status', 'reload', 'drain n', 'ready n', 'maint n', 'log-level info'):
            self.misuse(command, f'sluice {command.split()[0]}: no running Sluice is named; give --admin ADDRESS or -c FILE, or set '
                                 'SLUICE_ADMIN', SLUICE_ADMIN='')
