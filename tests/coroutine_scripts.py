"""The scripts of coroutine_programs.py for programs that exist: what to run, and what must be seen.

Most have two endings.  As the program itself ends, its coroutines are gone or finished; where a
script ends it in the middle (_exit, a deadly signal) they are as they were, and are counted.
"""
import dataclasses

import transparency_programs
from transparency_programs import text


@dataclasses.dataclass
class Program(transparency_programs.Program):
    """A program of transparency.py, and what else it needs.

    `probes` are pairs of a command that must succeed and the reason to skip when it does not;
    `prepare` makes what is needed in a directory, and answers what went wrong.
    """

    probes: tuple = ()

    @staticmethod
    def prepare(_):
        return ""


STRACE = (["strace", "-qq", "--seccomp-bpf", "-f", "-e", "trace=mmap", "-o", "/dev/null", "true"],
          "strace cannot trace here")

# QEMU maps 1 MiB and a guard page for each coroutine, and keeps finished ones in a pool.
QEMU_STACK = r"mmap\(NULL, 1052672, PROT_READ\|PROT_WRITE, MAP_PRIVATE\|MAP_ANONYMOUS,"
QEMU = ["summary coroutines.seen={stacks} coroutines.abandoned=0", "none"]


def qemu_img(session):
    session.write("disk.raw", b"".join(bytes([n % 251]) * 4096 for n in range(1500))
                  + bytes(2 << 20))
    session.run("qemu-img", "convert", "-f", "raw", "-O", "qcow2", "disk.raw", "disk.qcow2",
                expects=QEMU, stacks=QEMU_STACK)
    session.run("qemu-img", "convert", "-c", "-m", "8", "-f", "qcow2", "-O", "qcow2", "disk.qcow2",
                "small.qcow2", expects=QEMU, stacks=QEMU_STACK)
    for more in (["-d", "16"], ["-d", "8", "-w"], ["-d", "4", "-w", "--flush-interval=8"]):
        session.run("qemu-img", "bench", "-c", "3000", "-f", "qcow2", *more, "disk.qcow2",
                    unlike=r"completed in [\d.]+ seconds", expects=QEMU, stacks=QEMU_STACK)


def qemu_io(session):
    session.write("disk.raw", bytes(4 << 20))
    session.run("qemu-img", "convert", "-f", "raw", "-O", "qcow2", "disk.raw", "disk.qcow2")
    work = []
    for n in range(200):
        work += ["-c", f"aio_write -q -P {n} {n * 16}k 16k", "-c", f"aio_read -q {n * 8}k 8k"]
    session.run("qemu-io", "-f", "qcow2", *work, "-c", "aio_flush", "-c", "read -q -P 7 112k 16k",
                "-c", "flush", "disk.qcow2", expects=QEMU, stacks=QEMU_STACK)


OPENSSL_EXPECTS = ["none", "summary coroutines.seen=4 coroutines.destroyed=4"]


def openssl(session):
    session.run("openssl", "speed", "-seconds", "1", "-async_jobs", "4", "-bytes", "64",
                "-evp", "aes-128-cbc", unlike=r"\d+ \S+ in [\d.]+s|[\d.]+k\b",
                expects=OPENSSL_EXPECTS)


PHP = text(r"""
    <?php
    $fibers = []; $total = 0;
    for ($i = 0; $i < 40; $i++)
        $fibers[] = new Fiber(function () use ($i) {
            for ($k = 0; $k < ($i % 2 ? 100 : 200); $k++) Fiber::suspend($k);
            return $i;
        });
    foreach ($fibers as $fiber) $fiber->start();
    for ($round = 0; $round < 100; $round++)
        foreach ($fibers as $fiber) $total += $fiber->resume() ?? 0;
    $generator = (function () use (&$fibers) { foreach ($fibers as $i => $f) yield $i; })();
    foreach ($generator as $i) $total += $i;
    $nested = new Fiber(function () {
        $inner = new Fiber(function () { Fiber::suspend(1); });
        $inner->start(); Fiber::suspend(2); $inner->resume();
    });
    $nested->start();
    echo $total, " ", count(array_filter($fibers, fn($f) => $f->isSuspended())), "\n";
    if ($argc > 1) posix_kill(posix_getpid(), SIGTERM);
""")


def php(session):
    session.write("script.php", "<?php const SIGTERM = 15;" + PHP.removeprefix("<?php"))
    session.run("php8.2", "script.php", expects=["none", "summary coroutines.abandoned=0"])
    # 20 of 40, and the two nested ones.
    session.run("php8.2", "script.php", "die", expects=[
        "summary coroutines.seen=22 coroutines.suspended=22",
        "coroutines mechanism=fcontext state=suspended count=22"])


RUBY = text(r"""
    fibers = 40.times.map do |i|
      Fiber.new { (i.odd? ? 100 : 200).times { |k| Fiber.yield k }; nil }
    end
    total = 0
    101.times { fibers.each { |fiber| total += fiber.resume || 0 } }
    numbers = Enumerator.new { |y| n = 0; loop { y << (n += 1) } }
    3.times { total += numbers.next }
    total += Thread.new { f = Fiber.new { Fiber.yield 5; 6 }; f.resume + f.resume }.value
    puts "#{total} #{fibers.count(&:alive?)}"
    $stdout.flush
    exit!(5) if ARGV[0]
""")


def ruby(session):
    session.write("script.rb", RUBY)
    session.run("ruby", "script.rb", expects=["summary coroutines.abandoned=0"])
    # Ended ones leave their stacks in the pool, where the enumerator and the thread find theirs.
    session.run("ruby", "script.rb", "die", expects=[
        "summary coroutines.seen=40 coroutines.abandoned=0",
        "coroutines mechanism=switch count=40"])


PERL = text(r"""
    use Coro; use Coro::Channel; use POSIX ();
    package Slow; sub TIESCALAR { bless [0] } sub FETCH { Coro::cede(); $_[0][0]++ }
    package main;
    $| = 1;
    my $total = 0;
    my @perl = map { async { for (1 .. 200) { $total += $_; cede } } } 1 .. 30;
    # A switch inside a tied variable is one inside C, and needs a C stack of its own.
    my @c = map { async { tie my $x, 'Slow'; $total += $x for 1 .. 200 } } 1 .. 10;
    cede for 1 .. 100;
    print "$total\n";
    POSIX::_exit(6) if @ARGV;
    $_->join for @perl, @c;
    my $channel = Coro::Channel->new(5);
    my $reader = async { my $sum = 0; while (defined(my $x = $channel->get)) { $sum += $x } $sum };
    $channel->put($_) for 1 .. 1000;
    $channel->put(undef);
    print "$total ", $reader->join, "\n";
""")

# Stacks of C: 16,384 words and four pages of guard.
PERL_STACK = r"mmap\(NULL, 147456, PROT_READ\|PROT_WRITE\|PROT_EXEC,"


def perl(session):
    session.write("script.pl", PERL)
    session.run("perl", "script.pl", expects=["summary coroutines.abandoned=0"])
    session.run("perl", "script.pl", "die", stacks=PERL_STACK, expects=[
        "none", "summary coroutines.seen={stacks} coroutines.abandoned=0",
        "coroutines mechanism=switch state=suspended count={stacks}"])


GREENLET = text(r"""
    import os, sys
    import greenlet

    def body(rounds):
        got = 0
        for _ in range(rounds):
            got += greenlet.getcurrent().parent.switch(got)
        return got

    greenlets = [greenlet.greenlet(body) for _ in range(60)]
    for i, one in enumerate(greenlets):
        one.switch(100 if i % 2 else 200)
    for _ in range(100):
        for one in greenlets:
            one.switch(1)
    deep = greenlet.greenlet(lambda: sorted(range(9), key=lambda k: body(1) + k))
    deep.switch()
    print(sum(not one.dead for one in greenlets))
    sys.stdout.flush()
    if sys.argv[1:]:
        os._exit(7)
""")

GEVENT = text(r"""
    import os, sys
    import gevent, gevent.event, gevent.pool, gevent.queue, gevent.server, gevent.socket

    queue, results = gevent.queue.Queue(), []
    def worker():
        for item in queue:
            gevent.sleep(0)
            results.append(item * item)
    workers = [gevent.spawn(worker) for _ in range(20)]
    for item in range(2000):
        queue.put(item)
    for _ in workers:
        queue.put(StopIteration)
    gevent.joinall(workers)

    def serve(socket, _):
        socket.sendall(socket.recv(100).upper())
        socket.close()
    server = gevent.server.StreamServer(("127.0.0.1", 0), serve)
    server.start()
    def ask(_):
        socket = gevent.socket.create_connection(("127.0.0.1", server.server_port))
        socket.sendall(b"shout")
        return socket.recv(100)
    print(sum(results), set(gevent.pool.Pool(5).map(ask, range(50))))
    never = gevent.event.Event()
    waiting = [gevent.spawn(never.wait) for _ in range(20)]
    gevent.sleep(0)
    print(sum(not one.dead for one in waiting))
    sys.stdout.flush()
    if sys.argv[1:]:
        os._exit(8)
    never.set()
    gevent.joinall(waiting)
    server.stop()
""")

# One stack, whose slices are copied to the heap and back; or no C stack at all.
NO_STACKS = ["none", "summary coroutines.seen=0"]


def script(command, name, source, dying=()):
    """Steps that run a script twice: to its end, and to where `dying` ends it."""

    def steps(session):
        session.write(name, source)
        session.run(*command, name, expects=NO_STACKS)
        session.run(*command, name, *(dying or ["die"]), expects=NO_STACKS)

    return steps


LUA = text(r"""
    local made, total = {}, 0
    for i = 1, 60 do
        made[i] = coroutine.create(function(...)
            for k = 1, i % 2 == 0 and 100 or 200 do coroutine.yield(k) end
            return 0
        end)
    end
    for round = 1, 101 do
        for i = 1, #made do
            local _, value = coroutine.resume(made[i])
            total = total + value
        end
    end
    local words = coroutine.wrap(function()
        for w in ("a b c"):gmatch("%a") do coroutine.yield(w) end
    end)
    local alive = 0
    for i = 1, #made do
        if coroutine.status(made[i]) == "suspended" then alive = alive + 1 end
    end
    print(total, alive, words(), words())
    if arg[1] then os.exit(9, false) end
""")

GUILE = text(r"""
    (define tag (make-prompt-tag))
    (define (count-up) (let loop ((i 0)) (abort-to-prompt tag i) (loop (+ i 1))))
    (define waiting (make-vector 60 count-up))
    (define total 0)
    (do ((round 0 (+ round 1))) ((= round 100))
      (do ((j 0 (+ j 1))) ((= j 60))
        (call-with-prompt tag (vector-ref waiting j)
          (lambda (k value)
            (set! total (+ total value))
            (vector-set! waiting j (lambda () (k)))))))
    (define escaped (call/cc (lambda (k) (map (lambda (x) (if (> x 2) (k x) x)) '(1 2 3 4)))))
    (display (list total escaped)) (newline)
    (force-output)
    (if (pair? (cdr (command-line))) (primitive-_exit 10))
""")

PROGRAMS = [
    Program("qemu-img", ["qemu-img", "strace"], qemu_img, 5, probes=(STRACE,)),
    Program("qemu-io", ["qemu-io", "qemu-img", "strace"], qemu_io, 2, probes=(STRACE,)),
    Program("openssl", ["openssl"], openssl, 1),
    Program("php8.2", ["php8.2"], php, 2),
    Program("ruby", ["ruby"], ruby, 2),
    Program("perl-coro", ["perl", "strace"], perl, 2,
            probes=(STRACE, (["perl", "-MCoro", "-e", "1"], "libcoro-perl is not installed"))),
    Program("greenlet", ["/usr/bin/python3"],
            script(["/usr/bin/python3"], "script.py", GREENLET), 2,
            probes=((["/usr/bin/python3", "-c", "import greenlet"],
                     "python3-greenlet is not installed"),)),
    Program("gevent", ["/usr/bin/python3"],
            script(["/usr/bin/python3"], "script.py", GEVENT), 2,
            probes=((["/usr/bin/python3", "-c", "import gevent"],
                     "python3-gevent is not installed"),)),
    Program("lua5.4", ["lua5.4"], script(["lua5.4"], "script.lua", LUA), 2),
    Program("guile", ["guile"], script(["guile", "--no-auto-compile"], "script.scm", GUILE), 2),
]
