#!/usr/bin/env python3
"""An import and a comparison over a link that loses and delays packets, and one that is dead for a while.

Two network namespaces, PostgreSQL in one and cutover in the other; every packet between them passes through this process, which keeps it for
half a round trip and drops a share of them (no kernel module for that is needed). For each link: how long both took, and whether every row is
there. A link that is dead for a while ends in a full import too, or in an error that says so; then the command is run once more.

As root: scripts/lossy-link.py PROGRAM [ROWS]
"""
import ctypes, fcntl, heapq, json, os, random, select, shutil, sqlite3, struct, subprocess, sys, tempfile, threading, time

LINKS = [  # round trip in ms, lost packets in hundredths, dead from and for how many seconds
    ("direct", 0, 0, None),
    ("80 ms", 80, 0, None),
    ("80 ms, 1 % lost", 80, 1, None),
    ("80 ms, 5 % lost", 80, 5, None),
    ("20 ms, dead for 40 s", 20, 0, (1.0, 40.0)),
]
PORT, HERE, THERE = 5499, "10.213.7.1", "10.213.7.2"
TUNSETIFF, IFF_TUN, IFF_NO_PI, CLONE_NEWNET = 0x400454CA, 1, 0x1000, 0x40000000
NAMES = [f"lossy-{side}-{os.getpid()}" for side in ("cutover", "postgres")]
libc = ctypes.CDLL(None, use_errno=True)


def run(*command, **options):
    return subprocess.run(command, check=True, text=True, **options)


def tun(namespace):
    """A device in a namespace, as a file of this process."""
    made = []

    def enter():
        with open(f"/run/netns/{namespace}") as of:
            if libc.setns(of.fileno(), CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), "setns")
        device = os.open("/dev/net/tun", os.O_RDWR)
        fcntl.ioctl(device, TUNSETIFF, struct.pack("16sH22x", b"lossy", IFF_TUN | IFF_NO_PI))
        made.append(device)

    thread = threading.Thread(target=enter)  # setns is this thread's alone
    thread.start()
    thread.join()
    return made[0]


class Link(threading.Thread):
    def __init__(self, ends):
        super().__init__(daemon=True)
        self.ends, self.random = ends, random.Random(1)
        self.set(0, 0, None)

    def set(self, round_trip_ms, lost, dead):
        self.delay, self.lost = round_trip_ms / 2000, lost / 100
        self.dead = dead and (time.monotonic() + dead[0], time.monotonic() + dead[0] + dead[1])
        self.passed = self.dropped = 0

    def run(self):
        waiting, turn = [], 0
        while True:
            rest = max(0, waiting[0][0] - time.monotonic()) if waiting else 1
            for end in select.select(self.ends, [], [], rest)[0]:
                packet, now = os.read(end, 65536), time.monotonic()
                is_dead = self.dead and self.dead[0] <= now < self.dead[1]
                if is_dead or self.random.random() < self.lost:
                    self.dropped += 1
                    continue
                self.passed, turn = self.passed + 1, turn + 1
                to = self.ends[1 - self.ends.index(end)]
                heapq.heappush(waiting, (now + self.delay, turn, to, packet))
            while waiting and waiting[0][0] <= time.monotonic():
                _, _, to, packet = heapq.heappop(waiting)
                os.write(to, packet)


def main():
    program = os.path.abspath(sys.argv[1])
    rows = int(sys.argv[2]) if len(sys.argv) > 2 else 100_000
    bin = run("sh", "-c", "ls -d /usr/lib/postgresql/*/bin | sort -V | tail -1", capture_output=True).stdout.strip()
    place = tempfile.mkdtemp(prefix="lossy-")
    os.chmod(place, 0o755)
    data = f"{place}/postgres"
    os.mkdir(data)
    shutil.chown(data, "postgres")
    server = lambda *command: run("runuser", "-u", "postgres", "--", *command, stdout=subprocess.DEVNULL)
    source = f"{place}/app.db"
    with sqlite3.connect(source) as db:
        db.execute("CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT NOT NULL, body TEXT)")
        db.executemany("INSERT INTO item VALUES (?, ?, ?)", ((n, f"item {n}", "x" * (n % 200)) for n in range(rows)))
    try:
        for name, address in zip(NAMES, (HERE, THERE)):
            run("ip", "netns", "add", name)
            run("ip", "-n", name, "link", "set", "lo", "up")
        ends = [tun(name) for name in NAMES]
        for name, address in zip(NAMES, (HERE, THERE)):
            run("ip", "-n", name, "address", "add", f"{address}/30", "dev", "lossy")
            run("ip", "-n", name, "link", "set", "lossy", "up")
        link = Link(ends)
        link.start()
        server(f"{bin}/initdb", "-D", f"{data}/data", "-U", "bench", "-A", "trust")
        with open(f"{data}/data/pg_hba.conf", "a") as hba:
            hba.write("host all all all trust\n")
        options = f"-p {PORT} -k {data} -c listen_addresses=* -c fsync=off"
        run("ip", "netns", "exec", NAMES[1], "runuser", "-u", "postgres", "--", f"{bin}/pg_ctl", "-D", f"{data}/data", "-w",
            "-l", f"{data}/log", "-o", options, "start", stdout=subprocess.DEVNULL)
        sql = lambda text: run(f"{bin}/psql", "-qAtX", "-h", data, "-p", str(PORT), "-U", "bench", "-d", "postgres", "-c", text, capture_output=True).stdout.strip()
        url = f"postgres://bench@{THERE}:{PORT}/postgres?sslmode=disable"
        cutover = lambda *args: subprocess.run(["ip", "netns", "exec", NAMES[0], program, *args, "--from", source, "--to", url],
                                               capture_output=True, text=True, cwd=place, timeout=1800)
        bad = 0
        for name, round_trip_ms, lost, dead in LINKS:
            link.set(0, 0, None)
            sql("DROP TABLE IF EXISTS item; DROP SCHEMA IF EXISTS cutover CASCADE;"
                " CREATE TABLE item (id bigint PRIMARY KEY, name text NOT NULL, body text)")
            link.set(round_trip_ms, lost, dead)
            began, runs = time.monotonic(), []
            while len(runs) < 2 and (not runs or runs[-1].returncode):
                runs.append(cutover("copy"))
            copied = time.monotonic() - began
            verified = cutover("verify")
            took = time.monotonic() - began - copied
            count = int(sql("SELECT count(*) FROM item"))
            good = not runs[-1].returncode and not verified.returncode and count == rows
            bad += not good
            print(f"{name}: copy {copied:.1f} s in {len(runs)} runs, verify {took:.1f} s, {count} of {rows} rows, "
                  f"{link.passed} packets passed and {link.dropped} dropped{'' if good else ', BAD'}", flush=True)
            for ended in runs[:-1] if good else runs + [verified]:
                print("   ", (ended.stdout + ended.stderr).strip()[-600:].replace("\n", "\n    "), flush=True)
        return bad
    finally:
        if os.path.exists(f"{data}/data/postmaster.pid"):
            server(f"{bin}/pg_ctl", "-D", f"{data}/data", "-m", "immediate", "stop")
        for name in NAMES:
            subprocess.run(["ip", "netns", "delete", name], stderr=subprocess.DEVNULL)
        shutil.rmtree(place)


sys.exit(main())
