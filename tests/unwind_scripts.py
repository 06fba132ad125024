"""Existing programs whose stacks unwind_programs.py compares: what each does, as a line of bash.

`setup` runs once, `script` a few `times` with --all.  `every` says which share of the stacks is
compared without --all, `every_of_all` with it.
"""
import dataclasses


@dataclasses.dataclass
class Program:
    name: str
    needs: list
    script: str
    least: int
    setup: str = ""
    every: int = 1
    every_of_all: int = 1
    times: int = 1
    explained: list = dataclasses.field(default_factory=list)


GIT = """
rm -rf repository; git init -q repository; cd repository
for i in 1 2 3 4 5; do
    seq $i 2000 >file$i; git add .; git -c user.name=a -c user.email=a@b commit -qm commit$i
done
git log --stat >/dev/null; git status >/dev/null; git gc -q; git blame file3 >/dev/null
git diff HEAD~3 >/dev/null; git grep 19 >/dev/null; cd ..
"""

PYTHON = """
PYTHONMALLOC=malloc /usr/bin/python3 -c '
import ast, collections, decimal, json, re, threading, zlib
rows = [{"a": i, "b": str(i) * 3} for i in range(3000)]
text = json.dumps(rows)
assert json.loads(text) == rows and len(re.findall("[0-9]+", text)) == 6000
assert zlib.decompress(zlib.compress(text.encode())) == text.encode()
def deep(n):
    return [n] + deep(n - 1) if n else []
for i in range(40):
    deep(i * 20)
ast.parse("\\n".join(f"def f{i}(x): return [x + {i} for y in range(x)]" for i in range(200)))
def generate(n):
    for i in range(n):
        yield {i: [decimal.Decimal(i)]}
assert sum(len(x) for x in generate(2000)) == 2000
threads = [threading.Thread(target=deep, args=(200,)) for _ in range(4)]
[t.start() for t in threads], [t.join() for t in threads]
try:
    deep(10 ** 6)
except RecursionError:
    pass
'
"""

SQLITE = """
sqlite3 :memory: "create table t(a integer primary key, b text, c real);
with recursive n(x) as (select 1 union all select x+1 from n where x<8000)
insert into t select x, hex(randomblob(20)), x/3.0 from n;
create index i on t(b); select count(*), sum(length(b)) from t where b like '%A1%';
select group_concat(a) from (select a from t order by c desc limit 100);
with recursive f(a,b) as (select 0,1 union all select b,a+b from f limit 50) select sum(a) from f;
select json_group_array(json_object('a',a,'b',b)) from t where a<500;
delete from t where a%3=0; vacuum;" >/dev/null
"""

STL = r"""
cat >stl.cc <<'END'
#include <algorithm>
#include <functional>
#include <iostream>
#include <map>
#include <regex>
#include <string>
#include <unordered_map>
#include <vector>
int main()
{
    std::map<std::string, std::vector<int>> many;
    for (int i = 0; i < 20000; i++)
        many[std::to_string(i % 777)].push_back(i);
    std::regex pattern("(a|b)*c+[0-9]{2,3}");
    std::function<bool(int)> even = [](int x) { return x % 2 == 0; };
    std::cout << many.size() << std::regex_match("abac123", pattern) << even(4) << "\n";
}
END
"""

QEMU = """
qemu-img create -q -f qcow2 a.qcow2 64M
qemu-io -c 'write -P 7 0 4M' -c 'aio_write -P 9 8M 2M' -c aio_flush -c 'read 0 4M' a.qcow2 >log
qemu-img convert -O qcow2 -c a.qcow2 b.qcow2; qemu-img check -q b.qcow2
qemu-img bench -q -c 3000 -d 32 -w a.qcow2; qemu-img bench -q -c 2000 -d 8 b.qcow2
qemu-img compare -q a.qcow2 a.qcow2; rm -f a.qcow2 b.qcow2
"""

RUBY = """
ruby -e '
f = 10.times.map { |i| Fiber.new { 200.times { |j| Fiber.yield((i * j).to_s * 30) }; :done } }
150.times { f.each(&:resume) }
def deep(n) = n == 0 ? ["x" * 100] : deep(n - 1).map { |s| s + "y" }
60.times { |i| deep(i) }
a = (1..6000).map { |i| [i, i.to_s * 10] }.sort_by { |x| -x[0] }
raise "odd" unless a.size == 6000 and a.to_s.scan(/[0-9]+/).size == 12000
begin; deep(100_000); rescue SystemStackError; end
e = Enumerator.new { |y| 1000.times { |i| y << "z" * i } }
200.times { e.next.size }
require "json"; JSON.parse(JSON.generate(a))
Thread.new { deep(30) }.join
'
"""

PHP_SOURCE = r"""
cat >work.php <<'END'
<?php
function build($n) {
    $a = [];
    for ($i = 0; $i < $n; $i++)
        $a["k$i"] = [$i, str_repeat("a", $i % 300)];
    usort($a, fn($x, $y) => $y[0] - $x[0]);
    return $a;
}
function deep($n) { return $n == 0 ? "x" : deep($n - 1) . "y"; }
for ($k = 0; $k < 10; $k++) {
    if (count(build(1500)) != 1500)
        exit(1);
    json_decode(json_encode(build(300)));
    preg_match_all("/[0-9]+/", json_encode(build(200)), $m);
    deep($k * 30);
}
$fibers = [];
for ($i = 0; $i < 20; $i++) {
    $fibers[$i] = new Fiber(function () use ($i) {
        for ($j = 0; $j < 40; $j++)
            Fiber::suspend(deep($j % 9) . str_repeat("x", $j * $i));
    });
    $fibers[$i]->start();
}
for ($k = 0; $k < 40; $k++)
    foreach ($fibers as $x)
        $x->resume();
END
"""

PERL = """
perl -e '
my @a; push @a, {x => $_, y => "z" x ($_ % 50)} for 1 .. 8000;
my %h = map { $_->{x} => [$_] } sort { $b->{x} <=> $a->{x} } @a;
no warnings; sub deep { my $n = shift; return $n ? [deep($n - 1), "q" x $n] : [] }
deep($_ * 9) for 1 .. 40;
my $s = join ",", map { "$_=$h{$_}[0]{y}" } keys %h; my @m = $s =~ /(\\d+)=(z*)/g;
eval { die { code => $_ } } for 1 .. 500;
local $SIG{ALRM} = sub { my @x = map { "$_" x 9 } 1 .. 50 };
kill ALRM => $$ for 1 .. 50; print "" if @m < 2; sprintf("%s", eval "sub { $_ + 1 }") for 1 .. 300;
'
"""

NODE = """
node -e '
let a = []; for (let i = 0; i < 4000; i++) a.push(Buffer.alloc(100 + i % 7).toString("hex"));
a.sort(); const z = require("zlib"); z.gunzipSync(z.gzipSync(a.join()));
for (let i = 0; i < 60; i++) { JSON.parse(JSON.stringify({a: i, b: a.slice(0, 10)}));
new Intl.NumberFormat("de").format(i); new Function("x", "return x * " + i)(3); }
require("crypto").createHash("sha256").update(a.join()).digest("hex");
async function f(n) { await null; return n ? f(n - 1) : 0 } f(100);
'
"""

LUAJIT = """
luajit -e '
local ffi = require("ffi") ffi.cdef "void *malloc(size_t); void free(void *);"
local t = {}
for k = 1, 5 do
    for i = 1, 5000 do t[i] = {i, tostring(i) .. k} end
    table.sort(t, function(a, b) return a[1] > b[1] end)
end
for i = 1, 20000 do local p = ffi.C.malloc(i % 100 + 1) ffi.C.free(p) end
local function deep(n)
    local p = ffi.C.malloc(8) ffi.C.free(p)
    if n > 0 then return 1 + deep(n - 1) end
    return 0
end
for i = 1, 100 do deep(i) end
local co = {}
local function body() for j = 1, 50 do deep(j) coroutine.yield(j) end end
for i = 1, 50 do co[i] = coroutine.wrap(body) end
for k = 1, 50 do for i = 1, 50 do co[i]() end end
for i = 1, 300 do pcall(function() deep(i % 20) error({i}) end) end
loadstring("local x = 1 " .. string.rep("x = x + 1 ", 2000))()
'
"""

REDIS = """
redis-server --port 0 --unixsocket $PWD/s --save '' --appendonly no --daemonize no >/dev/null &
for i in $(seq 100); do [ -S s ] && break; sleep 0.05; done
redis-benchmark -q -s $PWD/s -n 600 -r 500 -d 300 -t set,get,lpush,hset,zadd,mset >/dev/null
redis-cli -s $PWD/s eval "for i=1,500 do redis.call('set','k'..i,string.rep('x',i)) end" 0 >log
redis-cli -s $PWD/s shutdown nosave; wait; rm -f s
"""

GUILE = """
guile --no-auto-compile -c '
(define (deep n) (if (zero? n) (list 1) (cons n (deep (- n 1)))))
(do ((i 0 (+ i 1))) ((= i 300)) (deep (* i 3)) (make-string (* i 100)))
(define ht (make-hash-table)) (do ((i 0 (+ i 1))) ((= i 3000)) (hash-set! ht i (number->string i)))
(call-with-prompt (quote p) (lambda () (abort-to-prompt (quote p)))
    (lambda (k) (sort (iota 3000) >)))
(use-modules (ice-9 regex))
(do ((i 0 (+ i 1))) ((= i 100)) (string-match "a+b" "xaaab"))' >/dev/null
"""

UNKNOWN = ["ends_in_unknown_code", "unknown_to_libunwind"]

PROGRAMS = [
    Program("node", ["node"], NODE, 10000, every=6, explained=UNKNOWN),
    Program("cc1plus", ["g++"], "g++ -c -O1 -std=c++20 stl.cc -o stl.o", 10000, setup=STL,
            every=150, every_of_all=4),
    Program("clang", ["clang++"], "clang++ -c -O1 -std=c++20 stl.cc -o stl.o", 10000, setup=STL,
            every=250, every_of_all=4),
    Program("ruby", ["ruby"], RUBY, 5000, every=7, times=3),
    Program("python3", ["/usr/bin/python3"], PYTHON, 10000, every=11, times=3),
    Program("git", ["git"], GIT, 10000, times=5),
    Program("sqlite3", ["sqlite3"], SQLITE, 5000, every=3, times=5),
    Program("qemu-img", ["qemu-img", "qemu-io"], QEMU, 5000, times=5),
    Program("php", ["php"], "php work.php; USE_ZEND_ALLOC=0 php work.php", 10000, setup=PHP_SOURCE,
            every=9),
    Program("php-jit", ["php"],
            "for kind in tracing function; do USE_ZEND_ALLOC=0 php -d opcache.enable_cli=1"
            " -d opcache.file_update_protection=0"
            " -d opcache.jit_buffer_size=64M -d opcache.jit=$kind work.php; done", 10000,
            setup=PHP_SOURCE, every=9, explained=UNKNOWN),
    Program("perl", ["perl"], PERL, 10000, every=3, times=3),
    Program("luajit", ["luajit"], LUAJIT, 10000, every=3, times=3, explained=UNKNOWN),
    Program("redis", ["redis-server", "redis-cli", "redis-benchmark"], REDIS, 2000, times=3),
    Program("guile", ["guile"], GUILE, 1000, times=2, explained=UNKNOWN),
    Program("gdb", ["gdb"], "gdb -q -batch -ex 'info functions strdup' -ex 'python print(1)'"
            " /usr/bin/git >/dev/null", 5000, every=3),
    Program("openssl", ["openssl"], "openssl req -x509 -newkey rsa:2048 -nodes -keyout k -out c"
            " -subj /CN=a 2>/dev/null; openssl x509 -in c -text >/dev/null;"
            " openssl speed -seconds 1 -bytes 64 sha256 >/dev/null 2>&1", 5000, every=20),
    Program("shell", ["tar", "gzip", "sort", "awk", "find"],
            "find /usr/include -name '*.h' | sort | head -500 | tar cf - -T - 2>/dev/null | gzip |"
            " wc -c >/dev/null; seq 20000 |"
            " awk '{s[$1 % 99] = s[$1 % 99] $1} END {print length(s)}' >/dev/null;"
            " seq 20000 | sort -R >/dev/null", 1000),
]
