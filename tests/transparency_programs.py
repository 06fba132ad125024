"""The programs of transparency.py: each a name, what must be installed, and its steps.

Steps are deterministic: fixed dates, fixed seeds, one fixed directory.  What a program may say
differently each time (a duration, an address) is named in `unlike`; files that it fills with such
things in `ignored_files`.
"""
import dataclasses
import textwrap
import time
import typing
import urllib.error
import urllib.request


@dataclasses.dataclass
class Program:
    """What to run, and what it needs."""

    name: str
    needs: list
    steps: typing.Callable
    least_processes: int
    ignored_files: str = ""


def text(source):
    return textwrap.dedent(source).lstrip()


def ls(session):
    session.run("ls", "-lR", "/usr/share/doc", "/usr/share/perl")
    session.run("ls", "no-such-file")


BASH = text(r"""
    sum=0
    for ((i = 0; i < 500; i++)); do
        x=$( (echo $i) )
        ((sum += x))
    done
    echo "sum $sum"
    (exit 7); echo "status $?"
    seq 1000 | sort -rn | head -n 3 | tee top.txt
    declare -A map; for w in a b c; do map[$w]=$w$w; done; echo "${!map[@]}" | wc -w
    trap 'echo bye' EXIT
    sleep 0.05 & wait $!; echo "waited $?"
    exit 3
""")


def bash(session):
    session.write("script.sh", BASH)
    session.run("bash", "script.sh")


PYTHON = text(r"""
    import asyncio, concurrent.futures, ctypes, decimal, hashlib, json, multiprocessing, os, re
    import sqlite3, ssl, subprocess, sys, threading, zlib

    total, lock = 0, threading.Lock()
    def add(n):
        global total
        for i in range(n):
            with lock:
                total += i
    threads = [threading.Thread(target=add, args=(2000,)) for _ in range(8)]
    [t.start() for t in threads]; [t.join() for t in threads]
    print("threads", total)
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        print("pool", sum(pool.map(lambda n: zlib.crc32(bytes(n)) % 97, range(500))))

    print("subprocess", subprocess.run(["sh", "-c", "echo out; echo err >&2; exit 4"],
                                       capture_output=True))
    print("pipe", subprocess.check_output("seq 100 | wc -l", shell=True))

    def handshake(cert, key):
        server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server_context.load_cert_chain(cert, key)
        client_context = ssl.create_default_context(cafile=cert)
        a, b = ssl.MemoryBIO(), ssl.MemoryBIO()
        server = server_context.wrap_bio(a, b, server_side=True)
        client = client_context.wrap_bio(b, a, server_hostname="localhost")
        done = set()
        while len(done) < 2:
            for side in (client, server):
                try:
                    side.do_handshake(); done.add(side)
                except ssl.SSLWantReadError:
                    pass
        client.write(b"hello over TLS")
        print("ssl", server.read(), client.version())
    handshake("cert.pem", "key.pem")

    async def worker(queue, results):
        while (item := await queue.get()) is not None:
            await asyncio.sleep(0)
            results.append(item * item)
    async def main():
        queue, results = asyncio.Queue(), []
        workers = [asyncio.create_task(worker(queue, results)) for _ in range(10)]
        for item in range(1000):
            await queue.put(item)
        for _ in workers:
            await queue.put(None)
        await asyncio.gather(*workers)
        process = await asyncio.create_subprocess_exec("echo", "child", stdout=subprocess.PIPE)
        out, _ = await process.communicate()
        reader_done = asyncio.Event()
        async def serve(reader, writer):
            writer.write((await reader.readline()).upper()); await writer.drain()
            writer.close(); reader_done.set()
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(b"shout\n")
        print("asyncio", sum(results), out, await reader.readline())
        await reader_done.wait(); writer.close(); server.close()
    asyncio.run(main())

    base = sqlite3.connect("base.db")
    base.execute("create table t (a, b)")
    base.executemany("insert into t values (?, ?)", [(i, str(i) * 3) for i in range(3000)])
    base.commit()
    print("sqlite", base.execute("select sum(a), max(b) from t").fetchone())
    print("decimal", decimal.Decimal(2).sqrt(), "ctypes", ctypes.CDLL(None).abs(-5))
    print("multiprocessing", multiprocessing.Pool(2).map(abs, range(-20, 0)))
    print("json", hashlib.sha256(json.dumps({str(i): [i] * 5 for i in range(5000)}).encode()).hexdigest())
    sys.exit(6)
""")


def python(session):
    session.environment["PYTHONHASHSEED"] = "0"
    session.help("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "key.pem",
                 "-out", "cert.pem", "-days", "2", "-subj", "/CN=localhost",
                 "-addext", "subjectAltName=DNS:localhost")
    session.write("script.py", PYTHON)
    session.run("/usr/bin/python3", "script.py")


def git(session):
    session.environment.update({
        "GIT_AUTHOR_NAME": "A", "GIT_AUTHOR_EMAIL": "a@example.org",
        "GIT_COMMITTER_NAME": "A", "GIT_COMMITTER_EMAIL": "a@example.org",
        "GIT_AUTHOR_DATE": "2024-01-01T00:00:00Z", "GIT_COMMITTER_DATE": "2024-01-01T00:00:00Z",
        "GIT_CONFIG_NOSYSTEM": "1", "GIT_PAGER": "cat"})
    session.run("git", "init", "-q", "-b", "main", "repository")
    for number in range(30):
        for name in range(10):
            session.write(f"repository/file{name}.txt", f"{number * name}\n" * (50 + name))
        session.help("git", "-C", "repository", "add", "-A")
        session.help("git", "-C", "repository", "commit", "-q", "-m", f"Change {number}")
    for words in (["log", "--stat", "-p"], ["status"], ["gc", "--quiet", "--prune=now"],
                  ["fsck", "--full", "--no-progress"], ["log", "--graph", "--oneline"],
                  ["grep", "-c", "1"], ["diff", "HEAD~9", "--stat"], ["show", "no-such-commit"],
                  ["rev-list", "--objects", "--all"]):
        session.run("git", "-C", "repository", *words)
    session.run("git", "clone", "-q", "repository", "copy")


C_SOURCE = text(r"""
    #include <stdio.h>
    #include <stdlib.h>
    #include <string.h>
    struct pair { const char *key; int value; };
    static int by_value(const void *a, const void *b)
    {
        return ((const struct pair *)a)->value - ((const struct pair *)b)->value;
    }
    int main(void)
    {
        struct pair pairs[] = {{"three", 3}, {"one", 1}, {"two", 2}};
        qsort(pairs, 3, sizeof *pairs, by_value);
        for (int i = 0; i < 3; i++)
            printf("%s %zu\n", pairs[i].key, strlen(pairs[i].key));
        return 0;
    }
""")
CXX_SOURCE = text(r"""
    #include <algorithm>
    #include <iostream>
    #include <map>
    #include <memory>
    #include <regex>
    #include <string>
    #include <vector>
    int main()
    {
        std::map<std::string, std::vector<int>> map;
        for (int i = 0; i < 1000; i++)
            map[std::to_string(i % 37)].push_back(i);
        std::regex digits("[0-9]+");
        auto kept = std::count_if(map.begin(), map.end(),
                                  [&](auto &entry) { return std::regex_match(entry.first, digits); });
        std::cout << map.size() << ' ' << kept << '\n';
    }
""")


def compilers(compiler, compilerxx):
    def steps(session):
        session.write("one.c", C_SOURCE)
        session.write("two.cc", CXX_SOURCE)
        session.write("wrong.c", "int main(void) { return nothing; }\n")
        session.run(compiler, "-O2", "-Wall", "-c", "one.c", "-o", "one.o")
        session.run(compiler, "-S", "-O3", "one.c", "-o", "one.s")
        session.run(compilerxx, "-O1", "-std=c++17", "-c", "two.cc", "-o", "two.o")
        session.run(compilerxx, "two.o", "-o", "two")
        session.run(compiler, "-c", "wrong.c")
        session.run("./two")
    return steps


SQL = text("""
    create table t (id integer primary key, name text, amount real);
    with recursive n(i) as (select 1 union all select i + 1 from n where i < 20000)
    insert into t select i, printf('name-%05d', i * 7919 % 20000), i * 0.25 from n;
    create index by_name on t (name);
    select count(*), sum(amount), min(name), max(name) from t where name like 'name-01%';
    select name, rank() over (order by name desc) from t limit 5;
    update t set amount = amount * 2 where id % 3 = 0;
    delete from t where id % 5 = 0;
    vacuum;
    select json_group_array(id) from (select id from t limit 20);
    pragma integrity_check;
    select * from no_such_table;
""")


def sqlite(session):
    session.write("script.sql", SQL)
    session.run("sqlite3", "base.db", ".read script.sql")
    session.run("sqlite3", "base.db", ".dump")


PERL = text(r"""
    use strict; use warnings; use POSIX; use List::Util qw(sum); use Data::Dumper;
    my %count; my $text = join ' ', map { $_ * 7919 % 1000 } 1 .. 20000;
    $count{$1}++ while $text =~ /(\d{2})\b/g;
    print join(',', map { "$_=$count{$_}" } sort keys %count), "\n";
    my @sorted = sort { $a <=> $b } map { $_ ** 2 % 1013 } 1 .. 5000; print sum(@sorted), "\n";
    local $Data::Dumper::Sortkeys = 1; print Dumper({ a => [1, 2, { b => 3 }] });
    my $pid = fork() // die; if (!$pid) { print "child\n"; exit 5 } waitpid $pid, 0; print $? >> 8, "\n";
    open my $pipe, '-|', 'seq 5' or die; print scalar(my @lines = <$pipe>), "\n"; close $pipe;
    eval { die { code => 9 } }; print $@->{code}, "\n";
    open my $file, '>', 'out.txt'; print $file $text; close $file;
    my $deep; $deep = sub { $_[0] ? 1 + $deep->($_[0] - 1) : 0 }; no warnings 'recursion'; print $deep->(5000), "\n";
    warn "to stderr\n"; exit 2;
""")


def perl(session):
    session.environment["PERL_HASH_SEED"] = "0"
    session.write("script.pl", PERL)
    session.run("perl", "script.pl")


RUBY = text(r"""
    fibers = 2000.times.map { |i| Fiber.new { |x| s = +"f#{i}"; loop { x = Fiber.yield(s.size + x) } } }
    puts fibers.sum { |f| f.resume(1) }
    puts fibers.each_slice(3).sum { |a| a[0].resume(2) }
    fibers = nil; GC.start
    gen = Enumerator.new { |y| a, b = 0, 1; loop { y << a; a, b = b, a + b } }
    puts gen.lazy.select(&:even?).first(10).inspect
    e = [1, 2, 3].each; puts e.next, e.next, e.next
    begin; e.next; rescue StopIteration; puts "stop"; end
    q = Queue.new
    threads = 4.times.map { |t| Thread.new { 100.times { |i| q << t * i } } }
    threads.each(&:join); sum = 0; sum += q.pop until q.empty?; puts sum
    pid = fork { puts "child"; exit!(4) }; Process.wait(pid); puts $?.exitstatus
    puts `seq 3`.lines.size
    finished = Fiber.new { :done }; finished.resume; puts finished.alive?
    File.write("out.txt", (1..1000).map { |i| i.to_s * 3 }.join("\n"))
    $stderr.puts "to stderr"; exit 3
""")


def ruby(session):
    session.write("script.rb", RUBY)
    session.run("ruby", "script.rb")


PHP = text(r"""
    <?php
    $fibers = [];
    for ($i = 0; $i < 1000; $i++) {
        $fibers[$i] = new Fiber(function (int $x) use ($i) {
            $buffer = str_repeat("x", $i);
            for (;;) { $x = Fiber::suspend(strlen($buffer) + $x); if ($x < 0) return $i; }
        });
    }
    $sum = 0;
    foreach ($fibers as $fiber) $sum += $fiber->start(1);
    for ($i = 0; $i < 500; $i++) { $fibers[$i]->resume(-1); $sum += $fibers[$i]->getReturn(); }
    echo "fibers $sum\n";
    function numbers() { for ($i = 0; $i < 1000; $i++) yield $i => $i * 2; }
    echo "generator ", array_sum(iterator_to_array(numbers())), "\n";
    echo json_encode(["a" => [1, 2.5, null], "b" => "ü"]), "\n", md5(serialize(range(1, 5000))), "\n";
    echo preg_replace_callback('/\d+/', fn($m) => $m[0] * 2, "1 22 333"), "\n";
    echo gzuncompress(gzcompress(str_repeat("abc", 1000))) === str_repeat("abc", 1000) ? "zlib\n" : "";
    if (extension_loaded("intl")) echo (new NumberFormatter("de_DE", NumberFormatter::DECIMAL))->format(1234.5), "\n";
    if (extension_loaded("mbstring")) echo mb_strtoupper("äöü"), "\n";
    if (extension_loaded("dom")) { $d = new DOMDocument; $d->loadXML("<a><b>c</b></a>"); echo $d->saveXML(); }
    if (extension_loaded("pdo_sqlite")) {
        $db = new PDO("sqlite::memory:"); $db->exec("create table t (a)");
        $db->exec("insert into t values (41)");
        echo $db->query("select a + 1 from t")->fetchColumn(), "\n";
    }
    if (extension_loaded("pcntl")) { $pid = pcntl_fork(); if (!$pid) { echo "child\n"; exit(3); }
        pcntl_waitpid($pid, $status); echo pcntl_wexitstatus($status), "\n"; }
    $extensions = get_loaded_extensions(); sort($extensions); echo implode(" ", $extensions), "\n";
    exit(5);
""")


def php(session):
    session.write("script.php", PHP)
    session.run("php8.2", "script.php")
    session.run("php8.2", "-d", "opcache.enable_cli=1", "script.php")


def redis(session):
    def cli(*words):
        return session.help("redis-cli", "-p", str(session.port()), *words).strip()

    server = session.start("redis-server", "--port", str(session.port()), "--bind", "127.0.0.1",
                           "--save", "", "--logfile", "redis.log", "--dir", ".",
                           "--enable-debug-command", "yes")
    session.wait_for_port()
    session.help("redis-benchmark", "-p", str(session.port()), "-n", "4000", "-c", "10", "-q",
                 "-t", "set,get,incr,lpush,lpop,sadd,hset,zadd,mset", seconds=120)
    for number in range(20):
        cli("eval", "for i = 1, 500 do redis.call('set', KEYS[1] .. i, string.rep('v', i)) end",
            "1", f"key{number}:")
    session.note("BGSAVE", cli("bgsave"))
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and "rdb_bgsave_in_progress:1" in cli("info", "persistence"):
        time.sleep(0.05)
    session.note("last save", [line for line in cli("info", "persistence").splitlines()
                               if line.startswith("rdb_last_bgsave_status")])
    session.note("keys", cli("dbsize"))
    session.note("digest", cli("debug", "digest"))
    cli("shutdown", "nosave")
    session.stop(server)
    session.note("snapshot", "RDB looks OK" in session.help("redis-check-rdb", "dump.rdb"))


NGINX = text("""
    daemon off; worker_processes 2; pid nginx.pid; error_log error.log; user root;
    events { worker_connections 64; }
    http {
        access_log off; client_body_temp_path t1; proxy_temp_path t2; fastcgi_temp_path t3;
        uwsgi_temp_path t4; scgi_temp_path t5;
        server { listen 127.0.0.1:%d; root html; location /again { return 302 /; } }
    }
""")


def nginx(session):
    session.write("nginx.conf", NGINX % session.port())
    session.write("html/index.html", "<h1>hello</h1>\n" * 2000)
    argv = ["nginx", "-p", str(session.directory), "-c", "nginx.conf", "-e", "error.log"]
    session.run(*argv, "-t", unlike=r"/\S+")
    server = session.start(*argv)
    session.wait_for_port()
    for path in ("/", "/again", "/missing"):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{session.port()}{path}", timeout=30) as page:
                session.note(path, (page.status, page.read()))
        except urllib.error.HTTPError as error:
            session.note(path, (error.code, error.read()))
    session.help(*argv, "-s", "quit")
    session.stop(server)


NODE = text(r"""
    const fs = require('fs'), zlib = require('zlib'), crypto = require('crypto');
    const { execFileSync } = require('child_process');
    const { Worker, isMainThread, parentPort } = require('worker_threads');
    if (!isMainThread) { parentPort.postMessage(Array.from({ length: 1000 }, (_, i) => i).reduce((a, b) => a + b)); }
    else (async () => {
        function* numbers() { for (let i = 0; i < 1000; i++) yield i; }
        console.log('generator', [...numbers()].length);
        const values = await Promise.all(Array.from({ length: 500 }, async (_, i) => { await null; return i * i; }));
        console.log('promises', values.reduce((a, b) => a + b));
        console.log('sha', crypto.createHash('sha256').update('x'.repeat(100000)).digest('hex'));
        console.log('zlib', zlib.inflateSync(zlib.deflateSync('abc'.repeat(1000))).length);
        console.log('child', execFileSync('echo', ['hello']).toString().trim());
        await fs.promises.writeFile('out.txt', JSON.stringify(values));
        console.log('file', (await fs.promises.readFile('out.txt')).length);
        await new Promise(done => setTimeout(done, 10));
        await new Promise(done => new Worker(__filename).once('message', m => { console.log('worker', m); done(); }));
        console.error('to stderr'); process.exitCode = 4;
    })();
""")


def node(session):
    session.write("script.js", NODE)
    session.run("node", "script.js")


def qemu_img(session):
    session.write("disk.raw", b"".join(bytes([n % 251]) * 4096 for n in range(1500))
                  + bytes(2 << 20))
    session.run("qemu-img", "convert", "-f", "raw", "-O", "qcow2", "disk.raw", "disk.qcow2")
    session.run("qemu-img", "compare", "-f", "raw", "-F", "qcow2", "disk.raw", "disk.qcow2")
    session.run("qemu-img", "check", "disk.qcow2")
    session.run("qemu-img", "bench", "-c", "2000", "-d", "16", "-s", "4096", "-f", "qcow2",
                "disk.qcow2", unlike=r"completed in [\d.]+ seconds")
    session.run("qemu-img", "bench", "-w", "-c", "500", "-d", "8", "-f", "raw", "disk.raw",
                unlike=r"completed in [\d.]+ seconds")
    session.run("qemu-img", "convert", "-c", "-m", "4", "-f", "qcow2", "-O", "qcow2", "disk.qcow2",
                "small.qcow2")
    session.run("qemu-img", "info", "no-such-file")


def tar_xz(session):
    session.run("tar", "--sort=name", "--mtime=2024-01-01", "-cJf", "doc.tar.xz",
                "-C", "/usr/share/doc", "bash", "tar", "xz-utils", "coreutils")
    session.run("xz", "-t", "doc.tar.xz")
    session.run("tar", "-tvJf", "doc.tar.xz")
    session.run("tar", "-xJf", "doc.tar.xz")
    session.run("xz", "-dk", "-T2", "doc.tar.xz")
    session.run("xz", "-T2", "-9", "--block-size=200KiB", "-k", "doc.tar", "-c")


def gdb(session):
    session.write("one.c", C_SOURCE)
    session.help("gcc", "-g", "-O0", "one.c", "-o", "one")
    session.run("gdb", "-nx", "-batch", "-ex", "break by_value", "-ex", "run", "-ex", "bt",
                "-ex", "info args", "-ex", "delete", "-ex", "continue", "./one",
                unlike=r"0x[0-9a-f]+|process \d+|\(process \d+\)")


PROGRAMS = [
    Program("ls", ["ls"], ls, 2),
    Program("bash", ["bash"], bash, 1000),
    Program("python3", ["/usr/bin/python3", "openssl"], python, 7, r"\.pem$"),
    Program("git", ["git"], git, 20, r"\.git/(index|.*\.idx|.*\.pack|.*\.rev|objects/info/)"),
    Program("gcc", ["gcc", "g++"], compilers("gcc", "g++"), 12),
    Program("clang", ["clang", "clang++"], compilers("clang", "clang++"), 6),
    Program("sqlite3", ["sqlite3"], sqlite, 2),
    Program("perl", ["perl"], perl, 3),
    Program("ruby", ["ruby"], ruby, 3),
    Program("php8.2", ["php8.2"], php, 4),
    Program("redis", ["redis-server", "redis-benchmark", "redis-cli"], redis, 2,
            r"redis\.log|dump\.rdb"),
    Program("nginx", ["nginx"], nginx, 4, r"error\.log|nginx\.(conf|pid)"),
    Program("node", ["node"], node, 2),
    Program("qemu-img", ["qemu-img"], qemu_img, 7),
    Program("tar+xz", ["tar", "xz"], tar_xz, 9),
    Program("gdb", ["gdb", "gcc"], gdb, 2, r"^one$"),
]
